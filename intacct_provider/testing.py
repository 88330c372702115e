"""The pytest plugin of the provider: a local Intacct for tests of DAGs."""

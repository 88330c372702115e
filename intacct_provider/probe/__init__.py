"""``python -m intacct_provider.probe`` asks a company, read-only, which of the provider's assumptions hold."""

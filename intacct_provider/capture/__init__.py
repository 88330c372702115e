"""The shape of a company in one file, without its records; see :mod:`intacct_provider.capture.__main__`."""

"""A local Sage Intacct: a real HTTP server over SQLite, for trying and testing without a company."""

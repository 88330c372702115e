"""Desired records: reading them from files, tables and tasks, and giving them Intacct's types."""

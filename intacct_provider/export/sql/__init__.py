"""Exports to tables of SQL databases."""

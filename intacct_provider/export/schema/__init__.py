"""Columns of an export, their types and values, and how they change."""

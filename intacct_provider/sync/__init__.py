"""Sync: desired records, the plan that makes Intacct match them, and applying exactly that plan."""

"""Exports of what changed: windows, their planning, and the state between runs."""

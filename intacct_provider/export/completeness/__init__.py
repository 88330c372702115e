"""What shows that an export is complete and what it costs: tallies, budget and progress."""

"""Applying a plan: what changed since, batches, the journal, rejected records and the undo plan."""

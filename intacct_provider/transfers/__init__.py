"""Transfers: Intacct records to somewhere else."""

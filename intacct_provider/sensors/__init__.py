"""Sensors: waiting until Intacct's records are as the next task needs them."""

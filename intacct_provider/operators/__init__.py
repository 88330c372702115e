"""Operators: the steps of a DAG that read and write Intacct records."""

"""Retry policies for tasks that use Intacct."""

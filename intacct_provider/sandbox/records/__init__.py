"""The rules for one record: checking, writing, reading and showing it."""

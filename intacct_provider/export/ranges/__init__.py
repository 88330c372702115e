"""Exports by many tasks: ranges of keys, their files, and the commit of all of them."""

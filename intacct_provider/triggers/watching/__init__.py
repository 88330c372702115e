"""Watching an object for changes: what a poll reads, what a watcher remembers, and one poll for all who watch it."""

"""Exports to files: encoders, parts, staging, publication and the manifest."""

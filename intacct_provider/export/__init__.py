"""Files from rows: writers, whole-or-nothing appearance, and the manifest beside each file."""

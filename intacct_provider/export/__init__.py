"""Exports: what is read (source), where it goes (sinks: files, ranges, tables), and the run between them."""

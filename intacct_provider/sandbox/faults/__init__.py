"""What can go wrong: planned faults, how they look on the wire, and how they are changed."""

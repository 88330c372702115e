"""What a company contains at the start: the demo company, or made-up records in any number."""

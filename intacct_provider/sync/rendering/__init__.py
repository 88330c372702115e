"""A plan for people: as markdown and as an HTML page."""

"""Reading every page of a query, and proving that none is missing."""

"""The query service: from a request with filters to a page of flat rows."""

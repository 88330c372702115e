"""paging."""

"""Reading records: by queries, and by their keys."""

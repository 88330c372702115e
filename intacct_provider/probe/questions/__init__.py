"""What the probe asks: each module answers the assumptions about one subject."""

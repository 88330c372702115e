"""Creating, updating and deleting records; composite requests; bulk jobs."""

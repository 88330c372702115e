"""What the API can do: its addresses and services."""

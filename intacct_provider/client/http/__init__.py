"""HTTP to Intacct: tokens, retries, throttling."""

"""What a user wants Intacct to hold, how it differs from what is there, and the plan to change it."""

"""What the sandbox knows of each Intacct object: its fields, references and lists."""

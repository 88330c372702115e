"""Planning: live records compared with desired ones, checked, limited and put in the order of writing."""

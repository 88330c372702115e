"""Bulk jobs: records checked before they are submitted, submitted once, and accounted for one by one."""

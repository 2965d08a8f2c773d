"""The servers that others would write."""

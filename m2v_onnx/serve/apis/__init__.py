"""The APIs that are spoken: one file each, with its requests, its answers and its routes."""

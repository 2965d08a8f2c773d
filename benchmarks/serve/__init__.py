"""The server beside the one that a user would write in ten minutes."""

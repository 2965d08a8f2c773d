"""The server: models over HTTP, in the shapes that existing clients already speak."""

"""From a name to files: where a model is found, and what its files are."""

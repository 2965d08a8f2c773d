"""Stage 3, normalize: symbols become codes, one a character of the normalized text."""

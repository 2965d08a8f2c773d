"""Stage 5, pieces: words that are not found whole become their longest pieces."""

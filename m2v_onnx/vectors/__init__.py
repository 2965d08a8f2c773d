"""From texts to vectors: sessions, the ways to token ids, batches and the types of vectors."""

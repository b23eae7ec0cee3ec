"""Text to vectors, one backend per file."""

"""Text embedders: text to vectors."""

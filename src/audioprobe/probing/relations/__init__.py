"""Sources of concepts and of the relations between them."""

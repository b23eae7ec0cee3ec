"""Pure functions of arrays. Each module opens with its conventions."""

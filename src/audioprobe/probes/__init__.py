"""Does a model know what it hears? The same question in words and in sound."""

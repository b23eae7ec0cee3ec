"""Sound to features and tags, one backend per file."""

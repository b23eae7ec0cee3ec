"""What lies above what, and what is called what: where the questions of a probe come from."""

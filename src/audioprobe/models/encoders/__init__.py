"""Audio encoders: audio to features and tags."""

"""Models behind the protocols: audio language models, encoders and text embedders."""

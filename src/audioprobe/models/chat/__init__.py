"""Audio chat models of Hugging Face transformers."""

"""Audio chat models from Hugging Face transformers."""

__all__: list[str] = []

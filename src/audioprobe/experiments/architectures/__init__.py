"""Study of architectures: models that differ only in how audio reaches the language model."""

__all__: list[str] = []

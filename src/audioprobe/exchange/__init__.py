"""Exchange with other tools: data sets of Hugging Face, tasks of inspect_ai, and logs."""

__all__: list[str] = []

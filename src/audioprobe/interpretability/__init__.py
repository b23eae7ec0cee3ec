"""Interpretability: what the activations of a model represent, layer by layer."""

__all__: list[str] = []

"""LTU and LTU-AS ("Listen, Think, and Understand"): loading, use, conversion, training.

Importing this package imports neither torch nor transformers.
"""

__all__: list[str] = []

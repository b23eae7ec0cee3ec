"""Audio tokenizers, which convert audio to codes: integers that a language model can read as words.

`codes` assigns codes to feature vectors, `centroids` fits the centroids of the codes, and `kmeans`
contains `KMeansTokenizer`. Nothing is imported here: the network of a model needs only `codes`.
"""

__all__: list[str] = []

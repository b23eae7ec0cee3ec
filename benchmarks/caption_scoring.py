"""1,000 captions against 28 labels with MiniLM, beside the way of LTU's evaluation scripts.

Those embed one caption per call and compare it with each label in a Python loop; the labels'
embeddings are made beforehand, there as here. "Cold" starts without any embedding of a caption,
"warm" finds them in the store on disk. The limits are the model alone, with all captions in one
call, and products of vectors that are read from one file.
"""

import tempfile
from pathlib import Path

import numpy as np

from audioprobe import CachedEmbedder, EmbeddingScorer, SentenceTransformerEmbedder
from audioprobe.types import FloatArray
from side_by_side import finish, ratios, report

SOURCES = (
    "crow grouse songbird goose loon wind rain stream truck car helicopter jet fly bell".split()
)
LABELS = [f"{kind} {source}" for kind in ("a distant", "a loud") for source in SOURCES]
PLACES = "over a meadow|near a road|in heavy rain|at dawn|far away|behind a hill".split("|")
N_CAPTIONS = 1000


def captions() -> list[str]:
    """Distinct sentences of the length of a caption."""
    sentences = [
        f"The sound of a {one}, followed by a {other} {place}."
        for place in PLACES
        for one in SOURCES
        for other in SOURCES
    ]
    return sentences[:N_CAPTIONS]


def main() -> None:
    embedder = SentenceTransformerEmbedder()
    texts = captions()
    label_vectors = [embedder.embed([f"sound of {label}"])[0] for label in LABELS]

    def one_by_one() -> FloatArray:
        rows = []
        for text in texts:
            vector = embedder.embed([f"sound of {text}"])[0]
            row = []
            for label in label_vectors:
                dot = sum(a * b for a, b in zip(vector, label, strict=True))
                lengths = np.linalg.norm(vector) * np.linalg.norm(label)
                row.append(dot / lengths)
            rows.append(row)
        return np.array(rows)

    with tempfile.TemporaryDirectory() as folder:
        warm = EmbeddingScorer(CachedEmbedder(embedder, Path(folder) / "store.sqlite"))
        cold = EmbeddingScorer(embedder)
        difference = np.abs(one_by_one() - cold.score(texts, LABELS)).max()
        file = Path(folder) / "vectors.npy"
        np.save(file, embedder.embed(texts))

        def model_alone() -> FloatArray:
            return embedder.embed([f"sound of {text}" for text in texts])

        def read_alone() -> FloatArray:
            products: FloatArray = np.load(file) @ np.transpose(label_vectors)
            return products

        print(f"{len(texts)} captions x {len(LABELS)} labels, largest difference {difference:.1e}")
        first, first_limit = ratios(
            one_by_one, lambda: cold.score(texts, LABELS), model_alone, rounds=2
        )
        again, again_limit = ratios(
            one_by_one, lambda: warm.score(texts, LABELS), read_alone, rounds=2
        )
        finish(
            difference <= 1e-6,
            report("cold", first, 4.0, first_limit),
            report("warm", again, 100.0, again_limit),
        )


if __name__ == "__main__":
    main()

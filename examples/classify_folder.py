"""Classify a folder of recordings, save the result, and score its captions with another scorer.

Run: python examples/classify_folder.py FOLDER crow,rain,truck
"""

import sys

from audioprobe import BirdNET, CaptionClassifier, EmbeddingScorer, KeywordScorer, TagCaptioner


def main(folder: str, labels: list[str]) -> None:
    """Print the scores by embeddings, and the scores of the same captions by keywords."""
    captioner = TagCaptioner(BirdNET())
    result = CaptionClassifier(captioner, EmbeddingScorer.local())(folder, labels)
    print(result)
    result.save("run")
    by_keywords = CaptionClassifier(captioner, KeywordScorer()).rescore(result)
    print("\nThe same captions, scored by keywords:")
    print(by_keywords)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","))

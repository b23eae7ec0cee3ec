"""Classify a folder of recordings, keep the result, and score its captions again in another way.

Run: python examples/classify_folder.py FOLDER crow,rain,truck
"""

import sys

from audioprobe import BirdNET, CaptionClassifier, EmbeddingScorer, KeywordScorer, TagCaptioner


def main(folder: str, labels: list[str]) -> None:
    """Print the table, and how the transparent baseline would have scored the same captions."""
    captioner = TagCaptioner(BirdNET())
    result = CaptionClassifier(captioner, EmbeddingScorer.local())(folder, labels)
    print(result)
    result.save("run")
    again = CaptionClassifier(captioner, KeywordScorer()).rescore(result)
    print("\nThe same captions by key words:")
    print(again)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","))

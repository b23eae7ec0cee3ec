"""Classifiers: label scores of clips by captions, by likelihood or by a joint embedding."""

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.classification.likelihood import LikelihoodClassifier
from audioprobe.classification.zero_shot import ZeroShotClassifier

__all__ = ["CaptionClassifier", "LikelihoodClassifier", "ZeroShotClassifier"]

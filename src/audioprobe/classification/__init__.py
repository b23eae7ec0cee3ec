"""Classifiers that score the labels of clips by captions, likelihoods or joint embeddings."""

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.classification.likelihood import LikelihoodClassifier
from audioprobe.classification.zero_shot import ZeroShotClassifier

__all__ = ["CaptionClassifier", "LikelihoodClassifier", "ZeroShotClassifier"]

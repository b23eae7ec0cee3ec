"""Evaluation of a small LTU: labels, captions, and yes/no questions in text and audio."""

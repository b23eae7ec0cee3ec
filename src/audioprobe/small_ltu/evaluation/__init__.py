"""Evaluation of a small LTU on clips that it was not trained on."""

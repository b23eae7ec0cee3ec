"""An AST of the original's proportions, small and random, saved as a user would find it."""

from pathlib import Path

import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

LABELS = {0: "Speech", 1: "Rain on surface", 2: "Crow", 3: "Gong, bell"}


def save_tiny_ast(folder: Path) -> None:
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        id2label=LABELS,
        label2id={name: n for n, name in LABELS.items()},
        hidden_dropout_prob=0.1,
    )
    model = ASTForAudioClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)

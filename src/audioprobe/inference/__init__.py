"""Inference over many items: `stream` isolates failing items, `clips` cuts clips into windows."""

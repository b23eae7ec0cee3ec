"""Chance that is the same on every machine, unlike `hash`."""

import hashlib


def stable_hash(key: str) -> int:
    """A number from 0 to 2**64 - 1 that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")

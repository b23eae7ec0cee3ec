"""Hashing for random seeds that, unlike `hash`, does not depend on the platform."""

import hashlib


def stable_hash(key: str) -> int:
    """Return an integer from 0 to 2**64 - 1 that depends only on the text."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")

"""Classes of WordNet that people would not sort sounds by."""

VAGUE = frozenset(
    {
        "approval",
        "chemical-reaction",
        "communication",
        "container",
        "device",
        "equipment",
        "event",
        "noise",
        "signaling-device",
        "sound",
        "wave",
    }
)
"""Rungs that people would also grant to what WordNet puts elsewhere: nothing is asked of them."""


SORTED_WELL = frozenset({"animal", "instrument", "tool"})
"""Kinds in which WordNet's classes are those of people; elsewhere it calls a train no vehicle."""

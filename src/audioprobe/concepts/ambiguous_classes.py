"""Where WordNet's classes are not those that people sort sounds by."""

from collections.abc import Mapping
from types import MappingProxyType

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

_POWERED = (
    "vacuum-cleaner washing-machine microwave-oven hair-dryer blender fan air-conditioner clock "
    "telephone electric-toothbrush lawn-mower electric-shaver"
)
_DRIVEN = (
    "vehicle car truck bus motorcycle train ambulance fire-engine police-car tractor snowmobile "
    "aircraft airplane propeller-plane jet helicopter boat motorboat"
)
_WARNING = "siren buzzer alarm-clock smoke-alarm burglar-alarm doorbell"
_PLUGGED_IN = (
    "machine printer record-player electric-shaver lawn-mower alarm-clock smoke-alarm power-drill"
)
_DOUBTFUL = {
    # Classes that people grant where WordNet does not, and words of two meanings ("a crane").
    "musical-instrument": "bell church-bell cowbell wind-chime whistle",
    "percussion-instrument": "bell church-bell cowbell wind-chime",
    "wind-instrument": "whistle foghorn car-horn wind-chime",
    "reed-instrument": "harmonica bagpipes accordion organ",
    "woodwind": "bagpipes harmonica whistle",
    "brass-instrument": "saxophone",
    "drum": "kettledrum",
    "machine": f"{_POWERED} {_DRIVEN} {_WARNING} bicycle synthesizer gun machine-gun crane",
    "electronic-equipment": f"{_WARNING} synthesizer electric-guitar electric-shaver mouse",
    "input-device": "mouse",
    "appliance": _PLUGGED_IN,
    "household-appliance": _PLUGGED_IN,
    "tool": "machine pump cutlery key blender vacuum-cleaner hair-dryer electric-toothbrush gun",
    "hand-tool": "scissors power-drill chainsaw jackhammer electric-shaver cutlery key",
    "kitchen-appliance": "machine",
    "power-tool": "machine lawn-mower electric-shaver",
    "cutting-tool": "saw chainsaw lawn-mower cutlery",
    "garden-tool": "chainsaw saw scissors",
    "kitchen-utensil": "scissors",
    "warning-device": "bell church-bell cowbell gong flare",
    "weapon": "chainsaw firework explosion",
    "transport": "horse",
    "public-transport": "horse",
    "vehicle": "horse",
    "animal": "baby",
    "mammal": "baby",
    "fastener": "seal",
    "internal-organ": "organ",
    "body-part": "organ",
    "waterfowl": "swan loon",
    "game-bird": "turkey duck goose pigeon waterfowl",
    "poultry": "duck goose pigeon swan waterfowl",
    "songbird": "crow raven nightingale",
    "seabird": "shorebird",
    # What is heard where the other is.
    "engine": f"{_DRIVEN} lawn-mower chainsaw",
    "jet-engine": "jet airplane aircraft",
    "car-horn": "vehicle car truck bus ambulance police-car",
    "siren": "ambulance fire-engine police-car burglar-alarm smoke-alarm",
    "bell": "gong wind-chime doorbell alarm-clock telephone bicycle",
    "buzzer": "doorbell alarm-clock",
    "fan": "air-conditioner hair-dryer",
    "typewriter": "computer-keyboard",
    "speech": "crowd whisper",
    "laughter": "crowd",
    "scream": "crowd",
    "applause": "crowd",
    "singing": "choir",
    "crying": "baby",
    "crow": "raven",
    "rain": "thunderstorm",
    "thunder": "thunderstorm",
    "wind": "thunderstorm",
    "ocean": "surf",
    "stream": "waterfall",
    "explosion": "firework gun machine-gun",
}

DOUBTFUL: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(concepts.split()) for name, concepts in _DOUBTFUL.items()}
)
"""Of which concepts nobody should say "no" when asked for a class or another concept, by its id."""

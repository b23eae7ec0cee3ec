"""Which source makes which sound, by the id of its concept."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from audioprobe.datasets.synthetic import animals, instruments, machines, nature
from audioprobe.types import Float64Array

Make = Callable[[np.random.Generator, int], Float64Array]
"""Draws parameters and makes so many samples; any loudness."""

SOURCES: Mapping[str, Make] = MappingProxyType(
    {
        "crow": animals.crow,
        "owl": animals.owl,
        "cuckoo": animals.cuckoo,
        "songbird": animals.songbird,
        "duck": animals.duck,
        "rooster": animals.rooster,
        "woodpecker": animals.woodpecker,
        "dog": animals.dog,
        "wolf": animals.wolf,
        "cat": animals.cat,
        "cow": animals.cow,
        "sheep": animals.sheep,
        "frog": animals.frog,
        "cricket": animals.cricket,
        "bee": animals.bee,
        "rain": nature.rain,
        "wind": nature.wind,
        "thunder": nature.thunder,
        "stream": nature.stream,
        "surf": nature.surf,
        "fire": nature.fire,
        "applause": nature.applause,
        "footstep": nature.footstep,
        "heart": nature.heart,
        "snoring": nature.snoring,
        "car": machines.car,
        "motorcycle": machines.motorcycle,
        "helicopter": machines.helicopter,
        "propeller-plane": machines.propeller_plane,
        "train": machines.train,
        "vacuum-cleaner": machines.vacuum_cleaner,
        "power-drill": machines.power_drill,
        "chainsaw": machines.chainsaw,
        "hammer": machines.hammer,
        "saw": machines.saw,
        "clock": machines.clock,
        "computer-keyboard": machines.computer_keyboard,
        "gun": machines.gun,
        "glass": machines.glass,
        "siren": machines.siren,
        "car-horn": machines.car_horn,
        "telephone": machines.telephone,
        "alarm-clock": machines.alarm_clock,
        "whistle": machines.whistle,
        "bell": instruments.bell,
        "church-bell": instruments.church_bell,
        "bass-drum": instruments.bass_drum,
        "snare-drum": instruments.snare_drum,
        "tom-tom": instruments.tom_tom,
        "cymbal": instruments.cymbal,
        "guitar": instruments.guitar,
        "piano": instruments.piano,
        "flute": instruments.flute,
        "violin": instruments.violin,
        "trumpet": instruments.trumpet,
        "organ": instruments.organ,
        "xylophone": instruments.xylophone,
        "maraca": instruments.maraca,
    }
)

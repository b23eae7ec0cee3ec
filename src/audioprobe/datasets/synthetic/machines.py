"""Synthesis of vehicles, machines, tools and alarms."""

import numpy as np
from numpy.random import Generator

from audioprobe.datasets.synthetic.blocks import (
    SAMPLE_RATE,
    band,
    curve,
    decay,
    falling,
    formants,
    noise,
    oscillate,
    repeat,
    repeated,
    ring,
    samples,
    silence,
    sine,
    swell,
    tone,
)
from audioprobe.types import Float64Array


def _motor(
    rng: Generator, pitch: Float64Array, n_harmonics: int, power: float, roughness: float
) -> Float64Array:
    """Return an engine: uneven harmonics of the firing rate, and modulated noise."""
    n = len(pitch)
    weights = np.array(falling(n_harmonics, power)) * rng.uniform(0.3, 1.0, n_harmonics)
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    level = 1 + 0.25 * noise(n, rng, 1.0)
    return oscillate(pitch, weights.tolist()) * level + roughness * noise(n, rng, 0.8) * beat**2


def car(rng: Generator, n: int) -> Float64Array:
    """Return a car engine that idles or accelerates."""
    course = curve(rng.uniform(0.8, 2.2, 3), n) if rng.random() < 0.6 else np.ones(n)
    pitch = rng.uniform(28, 55) * course * (1 + 0.01 * noise(n, rng, 1.5))
    return band(_motor(rng, pitch, 40, 0.8, 0.5), 30, rng.uniform(900, 2500))


def motorcycle(rng: Generator, n: int) -> Float64Array:
    """Return a motorcycle engine with changing speed, rougher and higher than a car."""
    course = rng.uniform(45, 80) * curve(rng.uniform(0.8, 2.8, 6), n)
    pitch = course * (1 + 0.02 * noise(n, rng, 1.0))
    return formants(_motor(rng, pitch, 60, 0.4, 0.6), (180, 600, 1500), 0.6)


def helicopter(rng: Generator, n: int) -> Float64Array:
    """Return a helicopter: beats of the rotor blades, and the high tone of a turbine."""
    rate = rng.uniform(9, 22)

    def slap() -> Float64Array:
        m = samples(0.8 / rate)
        thump = 0.5 * tone(3.2 * rate, m, [1, 0.5])
        return band(noise(m, rng, 1.2), 40, 900) * decay(m, 0.09) + thump * decay(m, 0.1)

    whine = tone(rng.uniform(900, 2200), n, [1, 0.3]) * 0.03
    return repeat(slap, n, rng, 1 / rate, 0.02) * curve(rng.uniform(0.3, 1, 3), n) + whine


def propeller_plane(rng: Generator, n: int) -> Float64Array:
    """Return a propeller plane that passes by; the pitch falls slightly."""
    pitch = rng.uniform(70, 130) * curve([1.06, 1.04, 0.96, 0.94], n)
    return _motor(rng, pitch, 30, 0.7, 0.3) * curve(rng.uniform(0.2, 1, 4), n)


def train(rng: Generator, n: int) -> Float64Array:
    """Return a train: wheels on rail joints, low noise, and a horn with three notes."""
    root = rng.uniform(250, 330)

    def joint() -> Float64Array:
        m = samples(0.15)
        knock = band(noise(m, rng, 0.8), 80, 2500) * decay(m, 0.1)
        return np.concatenate([knock, 0.8 * knock])

    def horn() -> Float64Array:
        m = samples(rng.uniform(0.8, 2.0))
        chord = sum(tone(root * ratio, m, falling(12, 0.7)) for ratio in (1, 1.25, 1.5))
        return chord * swell(m, 0.08, 0.2)

    rumble = band(noise(n, rng, 1.0), 30, 600)
    wheels = repeat(joint, n, rng, rng.uniform(0.5, 1.1), 0.03)
    return wheels + 0.5 * rumble + 0.25 * repeat(horn, n, rng, rng.uniform(3, 6), 0.3)


def vacuum_cleaner(rng: Generator, n: int) -> Float64Array:
    """Return a vacuum cleaner: loud noise of air, and the high tone of a motor."""
    pitch = rng.uniform(180, 380) * curve([0.4, 1, 1, 1, 1], n) ** rng.choice([0, 1])
    air = band(noise(n, rng, 0.4), 150, 7000)
    return air + 0.35 * oscillate(pitch, [0.6, 1, 0.3, 0.5, 0.2, 0.4])


@repeated(pitch=(220, 420), gap=(2.0, 3.5), jitter=0.3)
def power_drill(rng: Generator, pitch: float) -> Float64Array:
    """Return one burst of a power drill; its pitch falls under load."""
    m = samples(rng.uniform(0.8, 2.5))
    course = pitch * curve([0.3, 1, 1, rng.uniform(0.6, 0.9), 1, 0.3], m)
    rattle = 1 + 0.4 * sine(rng.uniform(25, 60), m)
    return (oscillate(course, falling(25, 0.3)) * rattle + noise(m, rng)) * swell(m, 0.05, 0.1)


def chainsaw(rng: Generator, n: int) -> Float64Array:
    """Return a chainsaw: a small engine that changes between idle and full speed."""
    course = rng.uniform(90, 140) * curve(rng.choice([0.45, 1.0, 1.1], 9), n)
    pitch = course * (1 + 0.03 * noise(n, rng, 1))
    return formants(_motor(rng, pitch, 50, 0.15, 0.8), (900, 2200, 3500), 0.6)


@repeated(modes=(1500, 6500, 4), gap=(0.3, 0.8), jitter=0.12)
def hammer(rng: Generator, modes: Float64Array) -> Float64Array:
    """Return one blow of a hammer on a nail: low wood modes and high metal modes."""
    m = samples(0.2)
    wood = band(noise(m, rng, 0.8), 100, 900) * decay(m, 0.09)
    return wood * 1.5 + 0.3 * ring(modes, rng.uniform(0.05, 0.15, 4), rng.uniform(0.2, 1, 4), m)


@repeated(rate=(60, 140), gap=(0.45, 0.65), jitter=0.05)
def saw(rng: Generator, rate: float) -> Float64Array:
    """Return one stroke of a hand saw."""
    m = samples(rng.uniform(0.3, 0.5))
    speed: Float64Array = np.sin(np.pi * np.arange(m) / m)
    teeth = 0.5 + 0.5 * np.sin(2 * np.pi * np.cumsum(rate * speed) / SAMPLE_RATE)
    return band(noise(m, rng, 0.3), 600, 6500) * speed * (0.4 + 0.6 * teeth)


def clock(rng: Generator, n: int) -> Float64Array:
    """Return the ticks of a clock, alternately of two kinds."""
    modes = [rng.uniform(1800, 4500, 3), rng.uniform(1500, 4000, 3)]

    def tick() -> Float64Array:
        m = samples(0.05)
        modes.reverse()
        click = 0.3 * noise(m, rng) * decay(m, 0.01)
        return ring(modes[0], (0.03, 0.02, 0.02), (1, 0.6, 0.4), m) + click

    return repeat(tick, n, rng, rng.choice([0.25, 0.5, 1.0]) * rng.uniform(0.97, 1.03), 0.0)


@repeated(gap=(0.09, 0.2), jitter=0.7)
def computer_keyboard(rng: Generator) -> Float64Array:
    """Return one keystroke: a click when the key is pressed, a click when it is released."""
    m = samples(0.05)
    down = band(noise(m, rng), rng.uniform(600, 2000), 7000) * decay(m, 0.02)
    up = 0.4 * band(noise(m, rng), 1500, 7500) * decay(m, 0.012)
    return np.concatenate([down, silence(rng.uniform(0.02, 0.06)), up])


@repeated(reverberation=(0.3, 1.5), gap=(0.5, 2.5), jitter=0.5)
def gun(rng: Generator, reverberation: float) -> Float64Array:
    """Return one shot of a gun, with the reverberation of the surroundings."""
    m = samples(reverberation)
    crack = noise(m, rng) * decay(m, 0.06) * 2
    return crack + band(noise(m, rng, 1.4), 40, 1500) * decay(m, reverberation)


@repeated(gap=(2.5, 5.0), jitter=0.4)
def glass(rng: Generator) -> Float64Array:
    """Return one breaking pane of glass: noise, then ringing pieces."""
    m = samples(1.5)
    total = band(noise(m, rng), 1500, 7900) * decay(m, 0.15) * 1.5
    for _ in range(int(rng.integers(15, 40))):
        onset = int(m * rng.beta(1, 3))
        modes, decays = rng.uniform(2500, 7800, 3), rng.uniform(0.05, 0.3, 3)
        total[onset:] += ring(modes, decays, rng.uniform(0.1, 0.5, 3), m - onset)
    return total


def siren(rng: Generator, n: int) -> Float64Array:
    """Return a siren with a slow or fast frequency sweep, or with two alternating tones."""
    low, high = rng.uniform(450, 650), rng.uniform(950, 1500)
    time = np.arange(n) / SAMPLE_RATE
    kind = rng.integers(0, 3)
    if kind == 2:
        is_low = (time * rng.uniform(1.0, 2.2)) % 1 < 0.5
        pitch = np.where(is_low, low, low * 4 / 3)
    else:
        rate = rng.uniform(0.12, 0.35) if kind == 0 else rng.uniform(2.5, 4.5)
        pitch = low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * rate * time))
    return oscillate(pitch, falling(10, 0.8))


@repeated(root=(320, 480), gap=(0.8, 2.5), jitter=0.5)
def car_horn(rng: Generator, root: float) -> Float64Array:
    """Return one long or short sound of a car horn: two tones, a third apart."""
    m = samples(rng.uniform(0.2, 1.5))
    tones = tone(root, m, falling(14, 0.4)) + tone(root * 1.26, m, falling(12, 0.4))
    return tones * swell(m, 0.015, 0.03)


@repeated(high=(900, 2200), warble=(14, 25), kind=(0, 1), gap=(2.2, 3.5), jitter=0.02)
def telephone(rng: Generator, high: float, warble: float, kind: float) -> Float64Array:
    """Return one ring of a telephone with a mechanical bell or an electronic tone."""
    m = samples(rng.uniform(0.8, 1.8))
    if kind < 0.5:
        pitch = np.where(sine(warble, m) > 0, high, high * 0.8)
        return oscillate(pitch, [1, 0.2, 0.3]) * swell(m, 0.01, 0.02)
    strike = 0.5 + 0.5 * np.abs(sine(warble / 2, m))
    return (tone(high, m) + 0.6 * tone(2.76 * high, m)) * strike * swell(m, 0.01, 0.15)


@repeated(pitch=(1800, 3200), length=(0.05, 0.1), gap=(0.9, 1.3), jitter=0.0)
def alarm_clock(_: Generator, pitch: float, length: float) -> Float64Array:
    """Return four short tones of a digital alarm clock."""
    m = samples(length)
    beep = tone(pitch, m, [1, 0, 0.3]) * swell(m, 0.003, 0.003)
    return np.concatenate([beep, silence(length)] * 4)


@repeated(pitch=(2400, 3600), gap=(1.0, 2.5), jitter=0.4)
def whistle(rng: Generator, pitch: float) -> Float64Array:
    """Return one sound of a referee's whistle with a trill."""
    m = samples(rng.uniform(0.3, 1.2))
    trill = sine(rng.uniform(25, 45), m)
    trilled = oscillate(pitch * (1 + 0.02 * trill), [1, 0.15]) * (0.7 + 0.3 * trill)
    return (trilled + 0.1 * band(noise(m, rng), 2000, 6000)) * swell(m, 0.02, 0.05)


MACHINES = (
    *(car, motorcycle, helicopter, propeller_plane, train, vacuum_cleaner, power_drill, chainsaw),
    *(hammer, saw, clock, computer_keyboard, gun, glass, siren, car_horn, telephone, alarm_clock),
    whistle,
)

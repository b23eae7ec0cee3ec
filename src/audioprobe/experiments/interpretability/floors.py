"""Floors of linear probes: the spectrogram itself, and the network with random weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audioprobe.audio.filterbank import FRAME_SHIFT_MS, LTU
from audioprobe.experiments.interpretability.probe_data import CLASS, ProbeData
from audioprobe.experiments.interpretability.representations import ProbeJob, table_of_probes
from audioprobe.experiments.interpretability.states import MeasurementOptions, record_states
from audioprobe.experiments.interpretability.trials import StudyTrials
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.batches import PROMPT_FAILURES
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback, ProgressEvent, prefixed
from audioprobe.protocols import Inspectable
from audioprobe.sites import find_sites
from audioprobe.types import Waveform

FLOORS = "floors of linear probes"
"""Name of the measurement and of its table."""
SPECTROGRAM, RANDOM_NETWORK = "spectrogram", "random weights"
"""Values of the column "source"."""

_SITE = "log-mel"


@dataclass(frozen=True, slots=True)
class SpectrogramStates:
    """Mean and standard deviation over time of the log-mel spectrogram of the clip of each trial.

    Attributes:
        by_clip: the values of each clip, shape (2 * 128,).
        clips: clip of each trial.
    """

    by_clip: Mapping[str, States]
    clips: tuple[str, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        """Name of the only site."""
        return (_SITE,)

    def at(self, _: str, __: str) -> States:
        """Return the values of all trials, shape (n_trials, 256)."""
        return np.stack([self.by_clip[clip] for clip in self.clips])


def probe_floors(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, DataTable]:
    """Read the class of the concept from spectrograms, and from a network with random weights.

    A frozen encoder that is not part of the network keeps its weights.

    Raises:
        UnsupportedInputError: if the weights of the model are quantized.
    """
    spectrograms = SpectrogramStates(_spectrograms(trials, progress), trials.clips)
    before = ("encoder.out", "connector.out")
    sites = find_sites(
        [*(s for s in before if s in model.sites), *options.patched_sites], model.sites
    )
    random = record_states(
        model.randomized(options.seed),
        trials,
        replace(options, sites=sites),
        folder / "random-weights",
        prefixed(progress, RANDOM_NETWORK),
        modalities=("audio",),
    )
    tables = []
    for source, states in ((SPECTROGRAM, spectrograms), (RANDOM_NETWORK, random["audio"])):
        data = ProbeData(trials, {"audio": states})
        jobs = [
            ProbeJob(group, mask, "audio", CLASS, site)
            for group, mask in trials.record.groups().items()
            for site in states.sites
        ]
        table = table_of_probes(data, jobs, options, prefixed(progress, source))
        tables.append(({"source": source}, table))
    return {FLOORS: DataTable.joined(tables)}


def _spectrograms(trials: StudyTrials, progress: ProgressCallback) -> dict[str, States]:
    """Return mean and standard deviation over time of each band of each clip."""
    values = {}
    clips = list(dict.fromkeys(trials.clips))
    for done, clip in enumerate(clips, 1):
        try:
            values[clip] = _summary(trials.sounds[clip]())
        except PROMPT_FAILURES:
            values[clip] = np.full(2 * LTU.bank.n_mels, np.nan, np.float32)  # counted as missing
        progress(ProgressEvent(stage=SPECTROGRAM, done=done, total=len(clips)))
    return values


def _summary(waveform: Waveform) -> States:
    """Return mean and standard deviation of each band over the frames of the clip."""
    n_frames = max(1, int(waveform.duration * 1000 / FRAME_SHIFT_MS))
    bands = LTU.of(waveform).numpy()[:n_frames]  # without padding
    summary = [bands.mean(axis=0), bands.std(axis=0)]
    return np.asarray(np.concatenate(summary), dtype=np.float32)

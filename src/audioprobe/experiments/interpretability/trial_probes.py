"""Linear probes of the class of the concept of every trial."""

from collections import Counter
from pathlib import Path

from audioprobe.experiments.interpretability.states import (
    ANSWER_SPAN,
    MeasurementOptions,
    randomized_network,
)
from audioprobe.experiments.interpretability.trials import Modality, StudyTrials
from audioprobe.interpretability.probe_curve import probe_curve
from audioprobe.interpretability.recording import record
from audioprobe.interpretability.recording_files import Recording
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.progress import ProgressCallback, staged
from audioprobe.protocols import Inspectable
from audioprobe.sites import find_sites

STAGES = "class and answer of each trial"
"""Name of the measurement."""
AT_AUDIO, AT_LAST, TEXT_AT_LAST = (
    "class read from the clip",
    "answer read from the last position",
    "answer read from text",
)
"""Curves: whether a probe reads the broad class of the concept, or the correct answer."""

_MODALITIES: tuple[Modality, ...] = ("text", "audio")
_OTHER = "other"
_RANDOMIZED = "-random-weights"  # part of the names of folders
_FEWEST_CONCEPTS = 5  # of a class that is a label of its own


def class_and_answer(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, SiteCurve]:
    """Read the class of the concept of each trial from its clip, and the answer where it is given.

    The class is read at encoder, connector and layers, the answer from the last position. A network
    with permuted weights is a control, unless the weights of the model are quantized.
    """
    chosen = trials.sample(options.max_trials, options.seed)
    before = [site for site in ("encoder.out", "connector.out") if site in model.sites]
    layers = [*find_sites(options.patched_sites, model.sites)]
    networks = {"": model, _RANDOMIZED: randomized_network(model, options.seed)}
    recorded: dict[str, dict[Modality, Recording]] = {
        name: {
            modality: record(
                network,
                chosen.prompts(modality),
                [*before, *layers] if modality == "audio" else layers,
                ("audio", ANSWER_SPAN) if modality == "audio" else (ANSWER_SPAN,),
                folder / f"sample{name}-{modality}",
                batch_size=options.batch_size,
                progress=staged(progress, f"states of the sample{name}, {modality}"),
            )
            for modality in _MODALITIES
        }
        for name, network in networks.items()
        if network is not None
    }
    answers = ["yes" if t.audio.question.pair.holds else "no" for t in chosen.record.trials]
    probes: dict[str, tuple[Modality, str, list[str], list[str]]] = {
        AT_AUDIO: ("audio", "audio", [*before, *layers], _classes(chosen)),
        AT_LAST: ("audio", ANSWER_SPAN, layers, answers),
        TEXT_AT_LAST: ("text", ANSWER_SPAN, layers, answers),
    }
    return {
        name: probe_curve(
            recorded[""][modality],
            labels,
            concepts=chosen.concepts,
            sites=sites,
            span=span,
            randomized=recorded.get(_RANDOMIZED, {}).get(modality),
            n_controls=min(5, options.n_controls),
            settings=options.probe,
            progress=staged(progress, name),
        ).renamed(chosen.ids)
        for name, (modality, span, sites, labels) in probes.items()
    }


def passes_of_probes(n_trials: int) -> int:
    """Return the number of passes: two modalities, and two networks."""
    return 4 * n_trials


def _classes(trials: StudyTrials) -> list[str]:
    """Return the broad class of each trial; classes of few concepts are one class."""
    kinds = dict(zip(trials.concepts, trials.kinds, strict=True))
    counts = Counter(kinds.values())
    return [kind if counts[kind] >= _FEWEST_CONCEPTS else _OTHER for kind in trials.kinds]

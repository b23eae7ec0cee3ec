"""Measurements that read audio states as text, or change states and measure the answers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audioprobe.experiments.interpretability.states import (
    CONCEPT_SPANS,
    MeasurementOptions,
    first_of_each,
    record_states,
)
from audioprobe.experiments.interpretability.trials import StudyTrials
from audioprobe.interpretability.direction_erasing import erase_directions
from audioprobe.interpretability.knock_out import knock_out
from audioprobe.interpretability.nearest_texts import nearest_texts
from audioprobe.interpretability.patching import patch
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.interpretability.text_bank import TextBank
from audioprobe.progress import ProgressCallback
from audioprobe.protocols import Inspectable

NEAREST, PATCHING, BLOCKING, ERASING = (
    "nearest texts",
    "patching",
    "blocked attention",
    "erased words",
)
"""Names of the measurements."""

WORD_READABLE = "word readable"
"""Curve: share of the positions of a clip whose nearest text is that of its concept."""
WORD_ERASED = "word erased"
"""Curve: how much the logit difference of the answer falls if the word's direction is erased."""
WORD_PATCHED = "word patched"
"""Curve: share of the answer that states of the word, put at the positions of the clip, recover."""
TEXT_PATCHED = "text patched into audio"
"""Curve: share of the text answer that states of the text prompt recover in the audio prompt."""
AUDIO_BLOCKED = "attention to audio blocked"
"""Curve: change of the logit difference if attention edges from the clip are removed."""

_OTHER = "other concept"
_EDGES = (("audio", "last"), ("audio", "question"), ("question", "last"))
_WINDOWS = 10  # windows of layers, at most


def words_of_clips(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, SiteCurve]:
    """Find the nearest text states of the positions of each clip, over all layers of text."""
    bank = _text_bank(model, trials, options, folder, progress)
    clips = trials.only(first_of_each(trials.clips).tolist())
    result = nearest_texts(
        model,
        clips.prompts("audio"),
        clips.concepts,
        bank,
        sites=options.patched_sites,
        k=min(5, len(bank) - 1),
        batch_size=options.batch_size,
        progress=progress,
    )
    curve = replace(result.curve("first"), measure="share of positions with the right text")
    return {WORD_READABLE: curve.renamed(clips.clips)}


def patched_texts(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    _: Path,
    progress: ProgressCallback,
) -> dict[str, SiteCurve]:
    """Put states of the text prompt into the audio prompt: the last position, and the word."""
    chosen = trials.sample(options.max_trials, options.seed)
    curves = {}
    for name, span in ((TEXT_PATCHED, "last"), (WORD_PATCHED, "concept -> audio")):
        result = patch(
            model,
            chosen.prompts("audio"),
            chosen.prompts("text"),
            chosen.concepts,
            sites=options.patched_sites,
            spans=span,
            lengths="mean",
            batch_size=options.batch_size,
            seed=options.seed,
            progress=progress,
        )
        curve = result.recovered
        # Late layers contain the answer itself, so the reference is a text with the same answer.
        controls = {_OTHER: curve.controls[_OTHER], **curve.controls}
        curves[name] = replace(curve, controls=controls).renamed(chosen.ids)
    return curves


def blocked_attention(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    _: Path,
    progress: ProgressCallback,
) -> dict[str, SiteCurve]:
    """Remove attention edges from the clip and the question in windows of layers."""
    chosen = trials.sample(options.max_trials, options.seed)
    n_layers = sum(site.startswith("lm.resid.") for site in model.sites)
    result = knock_out(
        model,
        chosen.prompts("audio"),
        chosen.concepts,
        edges=_EDGES,
        stride=-(-n_layers // _WINDOWS),
        batch_size=options.batch_size,
        seed=options.seed,
        progress=progress,
    )
    return {AUDIO_BLOCKED: result.logit_difference.renamed(chosen.ids)}


def erased_words(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, SiteCurve]:
    """Erase the direction of the concept's word from the positions of its clip."""
    bank = _text_bank(model, trials, options, folder, progress)
    chosen = trials.sample(options.max_trials, options.seed)
    result = erase_directions(
        model,
        chosen.prompts("audio"),
        chosen.concepts,
        bank,
        sites=options.patched_sites,
        batch_size=options.batch_size,
        seed=options.seed,
        progress=progress,
    )
    return {WORD_ERASED: _negated(result.logit_difference, chosen.ids)}


def passes_of_patching(n_trials: int) -> int:
    """Return the number of passes: two spans with four variants at each of some 30 layers."""
    return n_trials * 2 * 4 * 15


def passes_of_blocking(n_trials: int) -> int:
    """Return the number of passes: three edges and their controls in each window."""
    return n_trials * len(_EDGES) * 2 * _WINDOWS // 2


def passes_of_erasing(n_trials: int) -> int:
    """Return the number of passes: a direction and its control at each of some 30 layers."""
    return n_trials * 2 * 15


def passes_of_words(n_trials: int) -> int:
    """Return the number of passes: states are read twice, the first time for their means."""
    return 2 * n_trials


def _text_bank(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> TextBank:
    """Return the recorded states of the phrase of each concept, in all its questions."""
    states = record_states(model, trials, options, folder, progress)["text"]
    of_row = dict(zip(states.rows.tolist(), trials.concepts, strict=True))
    concepts: Sequence[str] = [of_row[row] for row in range(len(states.recording))]
    layers = [site for site in states.sites if site.startswith("lm.resid.")]
    return TextBank.from_recording(
        states.recording, concepts, span=CONCEPT_SPANS["text"], sites=layers
    )


def _negated(curve: SiteCurve, items: tuple[str, ...]) -> SiteCurve:
    """Return the curve of the opposite values: of a fall instead of a change."""
    return replace(
        curve,
        measure="fall of the logit difference",
        values=np.negative(curve.values),
        controls={name: np.negative(values) for name, values in curve.controls.items()},
        items=items,
    )

"""Figures of probes (extra `report`), for `ProbeOutcome.plot`."""

from collections.abc import Callable, Mapping

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.plots.canvas import Canvas, off_screen
from audioprobe.plots.figures import forest
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.plots.series import estimates, scatter, two_effects
from audioprobe.probing.audio_use import AudioUse
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import CONTROLS
from audioprobe.types import Estimate

with needs_extra("report"):
    from matplotlib.axes import Axes


def plot_conditions(outcome: ProbeOutcome, canvas: Canvas) -> Axes:
    """Draw the accuracy of yes/no questions by relation and condition; the line is chance."""
    scores = outcome.by("relation", "condition", form="yes-no")
    if not scores:
        raise InvalidInputError("The probe has no yes/no questions. Draw another plot.")
    rows = [
        ForestRow(f"{relation}, {condition}", score.accuracy, condition in CONTROLS)
        for (relation, condition), score in scores.items()
    ]
    return forest(rows, "accuracy, yes/no (diamonds are controls)", 0.5, canvas=canvas)


def plot_text_against_audio(outcome: ProbeOutcome, canvas: Canvas) -> Axes:
    """Draw the accuracy of each concept in text and about audio.

    Concepts below the diagonal are known in text and not recognised, or not used, in audio.
    """
    scores = outcome.by("concept", "condition", form="yes-no")
    points = []
    for concept in dict.fromkeys(concept for concept, _ in scores):
        pair = [scores.get((concept, condition)) for condition in ("text", "audio")]
        x, y = (None if score is None else score.accuracy.value for score in pair)
        if x is not None and y is not None:
            points.append((str(concept), x, y))
    return scatter(points, "accuracy in text", "accuracy about audio", canvas=canvas)


def plot_hypernyms(outcome: ProbeOutcome, canvas: Canvas) -> Axes:
    """Draw the accuracy by the number of steps from concept to class, without the controls.

    Questions for the concept itself or a synonym have 0 steps.
    """
    scores = outcome.by("level", "condition", form="yes-no")
    levels = sorted({level for level, _ in scores if isinstance(level, int)})
    series: dict[str, dict[str, Estimate]] = {}
    for condition in (c for c in outcome.conditions if c not in CONTROLS):
        for level in levels:
            score = scores.get((level, condition))
            if score is not None:
                series.setdefault(condition, {})[str(level)] = score.accuracy
    return estimates(
        series,
        "steps from the concept to the class that is asked for",
        "accuracy, yes/no",
        reference=0.5,
        canvas=canvas,
    )


def plot_audio_use(uses: Mapping[str, AudioUse], *, canvas: Canvas = off_screen) -> Axes:
    """Draw text prior (x) and audio reliance (y), a point per model, with their intervals.

    A model that uses the audio, and cannot guess the answers without it, is above the centre; a
    model that answers from the text alone is on the right. The title lists models with an undefined
    axis.

    Args:
        uses: the two axes of each model, by its name.
        canvas: function that returns the axes.

    Raises:
        InvalidInputError: if no model has both axes.
    """
    return two_effects(
        {name: (use.text_prior, use.audio_reliance) for name, use in uses.items()},
        "text prior: accuracy without the clip, minus chance",
        "audio reliance: right minus wrong clip",
        canvas=canvas,
    )


def plot_audio_use_of_outcome(outcome: ProbeOutcome, canvas: Canvas) -> Axes:
    """Draw text prior and audio reliance of a model."""
    name = outcome.provenance.components["language_model"].name
    return plot_audio_use({name: outcome.audio_use()}, canvas=canvas)


PLOTS: Mapping[str, Callable[[ProbeOutcome, Canvas], Axes]] = {
    "conditions": plot_conditions,
    "text-audio": plot_text_against_audio,
    "hypernyms": plot_hypernyms,
    "audio-use": plot_audio_use_of_outcome,
}
"""Functions that draw an outcome, by the name of the plot."""

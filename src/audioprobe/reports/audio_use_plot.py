"""Plot of the two axes of audio use: text prior and audio reliance, a point per model."""

from collections.abc import Mapping

from audioprobe.errors import needs_extra
from audioprobe.io.text_table import printable
from audioprobe.probing.audio_use import AudioUse
from audioprobe.reports.figures import LINE, blank, plain
from audioprobe.types import Estimate

with needs_extra("report"):
    from matplotlib.figure import Figure

_SMALL = 8  # font size in points


def plot_audio_use(uses: Mapping[str, AudioUse]) -> Figure:
    """Plot text prior (x) and audio reliance (y) with their intervals (extra `report`).

    A model that uses the audio, and cannot guess the answers without it, is at the upper left of
    the centre; a model that answers from the text alone is on the lower right. Models with an
    undefined axis are listed in the title.

    Args:
        uses: the two axes of each model, keyed by its name.
    """
    figure, axes = blank(5.6, 4.6)
    axes.axhline(0, color=LINE, linewidth=1, linestyle="--", zorder=0)
    axes.axvline(0, color=LINE, linewidth=1, linestyle="--", zorder=0)
    missing = []
    for number, (name, use) in enumerate(uses.items()):
        prior, reliance = use.text_prior, use.audio_reliance
        if prior.value is None or reliance.value is None:
            missing.append(printable(name))
            continue
        errors = [_ends(prior), _ends(reliance)]
        axes.errorbar(
            [prior.value],
            [reliance.value],
            xerr=errors[0],
            yerr=errors[1],
            fmt="o",
            color=f"C{number % 10}",
            elinewidth=1,
        )
        label = axes.annotate(
            printable(name), (prior.value, reliance.value), (6, 6), textcoords="offset points"
        )
        label.set(fontsize=_SMALL, parse_math=False)
    axes.set_xlabel("text prior: accuracy without the clip, minus chance")
    axes.set_ylabel("audio reliance: right minus wrong clip")
    if missing:
        title = axes.set_title(f"undefined, not drawn: {', '.join(missing)}", fontsize=_SMALL)
        title.set_parse_math(False)
    plain(axes)
    return figure


def _ends(estimate: Estimate) -> list[list[float]] | None:
    """Return the lengths of the interval below and above the value; None without an interval."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    # A percentile interval need not contain the value.
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return [[max(0.0, below)], [max(0.0, above)]]

"""Facts and main results of a classification run, for the top of its report."""

from collections.abc import Sequence

from audioprobe.experiments.classification.across_sets import FamiliarityDrop
from audioprobe.experiments.classification.analysis import CellScore
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun
from audioprobe.experiments.classification.samples import n_right
from audioprobe.experiments.classification.tables import p_text
from audioprobe.reports.provenance import command_text, component_text, created_text

MOST = 5
"""Maximum number of sentences."""

_PROMPT_SHOWN = 160  # maximum number of characters of a prompt among the facts


def findings(
    data: Sequence[LabelledScores],
    scores: Sequence[CellScore],
    drops: Sequence[FamiliarityDrop],
    level: float,
) -> list[str]:
    """Return three to five sentences: best prompt, effect of prompts, familiarity, and failures.

    Args:
        data: labelled scores of each cell.
        scores: metrics of each cell.
        drops: differences between unfamiliar and familiar audio.
        level: confidence level.
    """
    sets = list(dict.fromkeys(score.evaluation_set for score in scores))
    best = [_best([s for s in scores if s.evaluation_set == name], level) for name in sets[:2]]
    right = _right(data)
    sentences = [*best, *_gain(scores, level), *_drop(drops, level), right]
    return [*sentences[: MOST - 1], _failures(scores)]


def run_facts(run: ClassificationRun, cells: Sequence[ClassificationCell]) -> list[tuple[str, str]]:
    """Return the facts of the page: questions, model, data, date and command."""
    clips, questions = run.questions[0]
    provenance = cells[0].result.provenance
    facts = [(f"Prompt “{q.name}”", _shortened(q.text)) for q in questions[:3]]
    n_more = len(questions) - len(facts)
    if n_more:
        facts.append(("More prompts", f"{n_more}, see Set-up"))
    facts.append(("Model", component_text(provenance.components["model"])))
    if "scorer" in provenance.components:
        scorer = provenance.components["scorer"]
        parts = "".join(f" with {component_text(part)}" for part in scorer.parts.values())
        text = f"Captions are compared with labels by {component_text(scorer)}{parts}"
        facts.append(("Scores", text))
    for clips, _ in run.questions:
        groups = {cell.evaluation_set: cell.groups for cell in cells}[clips.name]
        n_groups = len(set(groups.values()))
        grouped = f", {n_groups} groups" if n_groups else ", no groups"
        size = f"{len(clips.clips)} clips{grouped}, {len(clips.labels)} labels"
        facts.append((f"Data “{clips.name}”", f"{clips.info.name}: {size}"))
    facts.append(("Date", created_text([cell.result.provenance.created for cell in cells])))
    facts.append(("Command", command_text()))
    return facts


def _shortened(text: str) -> str:
    return text if len(text) <= _PROMPT_SHOWN else f"{text[:_PROMPT_SHOWN]}…"


def _best(scores: Sequence[CellScore], level: float) -> str:
    name, n = scores[0].evaluation_set, scores[0].n_clips
    defined = [score for score in scores if score.auc.value is not None]
    if not defined:
        return f"{name}: the AUC is undefined, because no scored clip has reference labels."
    best = max(defined, key=lambda score: score.auc.value or 0.0)
    auc = best.auc
    interval = ""
    if auc.low is not None and auc.high is not None:
        by = f"; {auc.n_groups} {auc.unit}" if auc.n_groups else ""
        interval = f" ({level:.0%} interval {auc.low:.3f} to {auc.high:.3f}{by})"
    highest = (
        "a macro AUC" if len(defined) == 1 else f"the highest macro AUC of {len(defined)} prompts"
    )
    return (
        f"On {name} ({n} clips), the prompt “{best.prompt_level}” has {highest}: "
        f"{auc.value:.3f}{interval}; chance is 0.5."
    )


def _gain(scores: Sequence[CellScore], level: float) -> list[str]:
    """Return a sentence on the comparison with the smallest p-value, or on its absence."""
    compared = [
        (score, gain)
        for score in scores
        if (gain := score.gain) is not None and gain.adjusted is not None
    ]
    if not compared:
        return []
    n = sum(gain.adjusted is not None and gain.adjusted < 1 - level for _, gain in compared)
    score, gain = min(compared, key=lambda pair: pair[1].adjusted or 0.0)
    baseline = next(s for s in scores if s.evaluation_set == score.evaluation_set)
    difference = gain.difference.value or 0.0
    detectable = (
        ""
        if gain.detectable is None
        else f"; differences below {gain.detectable:.3f} would probably not be significant"
    )
    return [
        f"{n} of {len(compared)} differences between prompts are significant (permutation test, "
        f"Holm's correction). The clearest: on {score.evaluation_set}, “{score.prompt_level}” "
        f"minus “{baseline.prompt_level}” is {difference:+.3f} in macro AUC, p = "
        f"{p_text(gain.adjusted)}{detectable}."
    ]


def _drop(drops: Sequence[FamiliarityDrop], level: float) -> list[str]:
    defined = [drop for drop in drops if drop.difference.value is not None]
    if not defined:
        return []
    drop = min(defined, key=lambda each: each.difference.value or 0.0)
    estimate = drop.difference
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        interval = f" ({level:.0%} interval {estimate.low:.3f} to {estimate.high:.3f})"
    return [
        f"With “{drop.prompt_level}”, macro AUC on unfamiliar audio ({drop.unfamiliar}) minus that "
        f"on familiar audio ({drop.familiar}) is {estimate.value:+.3f}{interval}."
    ]


def _right(data: Sequence[LabelledScores]) -> str:
    name = data[0].cell.evaluation_set
    counts = [
        (each.cell.prompt_level, *n_right(each))
        for each in data
        if each.cell.evaluation_set == name
    ]
    shares = ", ".join(f"{n} of {total} clips with “{prompt}”" for prompt, n, total in counts[:4])
    return f"On {name}, the label with the highest score is correct for {shares}."


def _failures(scores: Sequence[CellScore]) -> str:
    n_failed = sum(score.n_failed for score in scores)
    n_abstained = sum(score.n_abstained for score in scores)
    n_unannotated = sum(score.n_unannotated for score in scores)
    n = sum(score.n_clips for score in scores) + n_failed + n_unannotated
    if not n_failed + n_unannotated + n_abstained:
        return f"All {n} answers (each clip with each prompt) could be scored."
    return (
        f"Of {n} answers (each clip with each prompt), {n_failed} failed, {n_unannotated} are "
        f"about clips without reference labels, and in {n_abstained} the model recognised nothing."
    )

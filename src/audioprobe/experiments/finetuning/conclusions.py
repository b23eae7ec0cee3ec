"""Conclusions of a study: one sentence per research question, and a table of significant effects.

A difference is "consistent" if its confidence interval and all seeds are on the same side of 0. It
is "significant" if, in addition, its p-value after Holm's correction is below .05.
"""

from audioprobe.experiments.finetuning.analysis import StudySummary, trains_language_model
from audioprobe.experiments.finetuning.comparison import FACTORS
from audioprobe.experiments.finetuning.storage import IN_AUDIO, NOT_IN_AUDIO
from audioprobe.experiments.finetuning.tables import MISSING, condition
from audioprobe.io.text_table import Table

NO_DATA = "No run has finished that could answer this."

_MARKED = {
    "in-domain AUC": ("trainable", "alignment"),
    "pretraining-domain AUC": ("trainable", "regularization"),
    "text loss": ("trainable", "regularization"),
    "text accuracy": ("trainable", "regularization"),
    "audio accuracy": FACTORS,
}
"""Measures of the significance table, each with the factors whose levels it compares."""

_ARROWS = {1: "↑", -1: "↓"}


def conclusions_table(summary: StudySummary) -> Table:
    """Return a table with one row per research question: the question and a sentence as answer."""
    rows = (
        ("What is gained by fine-tuning?", _gain(summary)),
        ("What causes forgetting?", _forgetting(summary)),
        ("Is audio accuracy below text accuracy with every strategy?", _gap(summary)),
        ("Which alignment improves audio?", _alignment(summary)),
        ("Does training on pairs generalize to other concepts?", _generalization(summary)),
        ("Does knowledge transfer between text and audio?", _transfer(summary)),
    )
    return Table(("question", "answer"), rows)


def significance_table(summary: StudySummary) -> Table:
    """Return a table that marks the levels that differ significantly from the baseline level.

    "↑ ablation 1/2" means: a significant increase in one of two pairs of strategies that differ
    in this level only. "↓ average" means: a significant decrease on average over all strategies
    (least squares). "n.s." means not significant, "–" not compared.
    """
    rows = []
    for factor in FACTORS:
        baseline, *levels = summary.record.study.labels[factor]
        compared = (*summary.ablations, *summary.effects)
        tested = [d[factor] for d in compared if factor in d.baseline]
        for level in dict.fromkeys((*levels, *tested)):
            marks = [
                _mark(summary, measure, factor, level) if factor in factors else MISSING
                for measure, factors in _MARKED.items()
            ]
            if set(marks) != {MISSING}:
                rows.append((factor, level, baseline, *marks))
    return Table(("factor", "level", "baseline", *_MARKED), tuple(rows))


def _mark(summary: StudySummary, measure: str, factor: str, level: str) -> str:
    """Return the text of a cell of `significance_table`, such as "↑ ablation 1/2" or "n.s."."""
    ablations, effects = (
        [
            d.significant
            for d in differences
            if d["measure"] == measure and factor in d.baseline and d[factor] == level
        ]
        for differences in (summary.ablations, summary.effects)
    )
    if not ablations and not effects:
        return MISSING
    marks = [
        f"{arrow} ablation {ablations.count(sign)}/{len(ablations)}"
        for sign, arrow in _ARROWS.items()
        if sign in ablations
    ]
    marks += [f"{_ARROWS[sign]} average" for sign in effects if sign]
    return ", ".join(marks) or "n.s."


def _gain(summary: StudySummary) -> str:
    if not any(summary.changes.values()):
        return NO_DATA
    n, better = len(summary.strategies), len(_consistent(summary, "in-domain AUC", 1))
    worse = len(_consistent(summary, "in-domain AUC", -1))
    return (
        f"{better} of {n} strategies improved in-domain captioning AUC consistently, {worse} "
        f"worsened it, and {n - better - worse} showed no consistent change. "
        f"{len(_consistent(summary, 'out-of-domain AUC', 1)) or 'None'} of the {n} improved "
        "out-of-domain AUC consistently."
    )


def _forgetting(summary: StudySummary) -> str:
    if not any(summary.changes.values()):
        return NO_DATA
    n = len(summary.strategies)
    updated = [s for s in summary.strategies if trains_language_model(summary.record.study, s[0])]
    worse, better = (
        sum(s in updated for s in _consistent(summary, "text loss", sign)) for sign in (1, -1)
    )
    accuracy, pretraining, audio = (
        len(_consistent(summary, measure, -1))
        for measure in ("text accuracy", "pretraining-domain AUC", "audio accuracy")
    )
    return (
        f"Of {len(updated)} strategies that train the language model, {worse} increased the text "
        f"loss consistently, {better} decreased it, and {accuracy} lowered text accuracy. "
        f"Strategies that do not train it ({n - len(updated)}) cannot change these measures. Of "
        f"all {n}, {pretraining} lowered pretraining-domain AUC, and {audio} audio "
        "accuracy."
    )


def _gap(summary: StudySummary) -> str:
    gaps = {strategy: gap for strategy, gap in summary.gaps.items() if gap.value is not None}
    if not gaps:
        return NO_DATA
    n_behind = sum(gap.low is not None and gap.low > 0 for gap in gaps.values())
    reduced = _consistent(summary, "modality gap", -1)
    worse = _consistent(summary, "text accuracy", -1)
    n_better = sum(strategy not in worse for strategy in reduced)
    details = f", {n_better} of them without lower text accuracy" if reduced else ""
    return (
        f"With {n_behind} of {len(gaps)} strategies, audio accuracy was below text accuracy on the "
        f"same questions (the interval of the gap is above 0); {len(reduced) or 'none'} reduced "
        f"the gap consistently{details}. This is one model of one size."
    )


def _alignment(summary: StudySummary) -> str:
    differences = (*summary.ablations, *summary.effects)
    compared = [d for d in differences if "alignment" in d.baseline]
    if not compared:
        return NO_DATA
    levels = [
        [d["alignment"] for d in compared if d["measure"] == measure and d.significant > 0]
        for measure in ("audio accuracy", "in-domain AUC")
    ]
    audio, captions = (", ".join(dict.fromkeys(names)) or "none" for names in levels)
    return (
        f"Alignments with significantly higher audio accuracy than without alignment: {audio}; "
        f"with significantly higher in-domain AUC: {captions}."
    )


def _generalization(summary: StudySummary) -> str:
    compared = [
        control or change
        for change, control in summary.generalization
        if condition(change) == "audio"
    ]
    if not compared:
        return NO_DATA
    improved = [
        f"{d['alignment']} ({d['trainable']}, {d['regularization']}): {d['subset']}"
        for d in compared
        if d.significant > 0
    ]
    return (
        f"Audio accuracy improved significantly in {len(improved)} of {len(compared)} groups of "
        f"concepts{': ' if improved else ''}{'; '.join(improved)}."
    )


def _transfer(summary: StudySummary) -> str:
    if not summary.transfer:
        return NO_DATA

    def learned(arm: str, evaluated: str, subset: str = "") -> str:
        """Return whether accuracy is consistently above the initial model and the control.

        The value is "yes", "no", "for some concepts" (not for all groups), or "not tested".
        """
        results = [
            change.direction > 0 and (control is None or control.direction > 0)
            for change, control in summary.transfer
            if (change["arm"], condition(change)) == (arm, evaluated)
            and subset in ("", change["subset"])
        ]
        if not results:
            return "not tested"
        return "yes" if all(results) else "for some concepts" if any(results) else "no"

    return (
        "Is accuracy on novel classes consistently above that of the model before fine-tuning and "
        f"of the control? After training in text: {learned('text', 'text')} for questions in text, "
        f"{learned('text', 'audio')} for questions in audio. After training in audio of half of "
        f"the concepts: {learned('audio', 'audio', IN_AUDIO)} for questions in audio about this "
        f"half, {learned('audio', 'audio', NOT_IN_AUDIO)} for those about the other half, "
        f"{learned('audio', 'text')} for questions in text. After training in both: "
        f"{learned('text+audio', 'audio', NOT_IN_AUDIO)} for questions in audio about the concepts "
        "that were trained only in text."
    )


def _consistent(summary: StudySummary, measure: str, sign: int) -> list[tuple[str, ...]]:
    """Return strategies with a consistent increase (sign 1) or decrease (-1) of a measure."""
    changes = ((s, differences.get(measure)) for s, differences in summary.changes.items())
    return [strategy for strategy, d in changes if d is not None and d.direction == sign]

"""Evidence for the predictions of mechanisms: what was measured, and whether it agrees."""

from dataclasses import replace

from audioprobe.experiments.interpretability.answers import (
    ConceptValues,
    Trials,
    concept_mean,
    correct_answers,
    difference_of_means,
    gaps,
    of_shared_questions,
    recognition,
)
from audioprobe.experiments.interpretability.interventions import WORD_READABLE
from audioprobe.experiments.interpretability.probe_data import CLASS, estimate_in
from audioprobe.experiments.interpretability.representations import LINEAR, SIMILARITY, TRANSFER
from audioprobe.experiments.interpretability.rules import (
    ConclusionRules,
    Outcome,
    Prediction,
    PredictionEvidence,
    independent_difference,
    shifted,
)
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.trials import ALL, FAMILIARITY, MatchedTrial
from audioprobe.io.data_table import DataTable
from audioprobe.types import Estimate

ANSWERS = "answers"
"""Name of the source of evidence from answers."""

_ENCODER_SITES = ("encoder.pooled", "encoder.out", "connector.out")
_NOT_MADE = "the measurement is not part of the study, or has not finished"
_CHANCE, _CHANCE_OF_RECOGNITION = 0.5, 0.25  # recognition is two right answers
_ONE_KIND = "needs familiar and unfamiliar recordings"


def effect_over_places(
    record: InterpretabilityRecord, prediction: Prediction, *, only_repairable: bool = False
) -> PredictionEvidence:
    """Return whether a curve is above its control at any place."""
    curve = record.curves.get(prediction.source)
    if curve is None:
        return prediction.missing(_NOT_MADE)
    if only_repairable:
        repairable = {t.id for t in record.trials.trials if _is_repairable(t)}
        curve = curve.only(record.trials.where(curve.items, id=tuple(repairable)))
    if not curve.concepts:
        return prediction.missing("no trial has such answers")
    points = curve.points(record.config.bootstrap)
    rules = record.config.rules
    outcome, number = rules.outcome_over_places(
        [point.difference for point in points],
        [point.p_value for point in points],
        rules.effect_margin,
    )
    if number is None:
        return prediction.missing("all values are undefined")
    point = points[number]
    place = f"{point.place.site}, {point.place.span}"
    control = next(iter(curve.controls), "no effect")
    p_value = "undefined" if point.p_value is None else f"{point.p_value:.3g}"
    note = f"{curve.measure} minus {control}, corrected p {p_value}"
    return prediction.measured(outcome, point.difference, place, note)


def _is_repairable(trial: MatchedTrial) -> bool:
    return trial.is_correct("text") is True and trial.is_correct("audio") is False


def class_before_word(record: InterpretabilityRecord, prediction: Prediction) -> PredictionEvidence:
    """Return whether no class can be read at the sites before the first one with the word."""
    curve, table = record.curves.get(WORD_READABLE), record.tables.get(LINEAR)
    if curve is None or table is None:
        return prediction.missing(_NOT_MADE)
    rules = record.config.rules
    readable = [
        point.place.site
        for point in curve.points(record.config.bootstrap)
        if point.p_value is not None
        and point.p_value < rules.significance
        and rules.outcome(point.difference, rules.effect_margin) == "agrees"
    ]
    rows = _rows(table, group=ALL, modality="audio", label=CLASS)
    sites = [str(table.columns["site"][row]) for row in rows]
    onset = next((n for n, site in enumerate(sites) if site in readable), None)
    if not onset:
        return prediction.missing("the word is read at no site, or at the first one")
    values = [estimate_in(table, row, "selectivity") for row in rows[:onset]]
    outcomes = [rules.outcome(value, rules.accuracy_margin) for value in values]
    number = max(range(onset), key=lambda n: values[n].value or 0.0)
    outcome: Outcome = "undecided"
    if "agrees" in outcomes:
        outcome = "disagrees"
    elif set(outcomes) == {"disagrees"}:
        outcome = "agrees"
    note = f"selectivity; the word can be read from {sites[onset]} on"
    return prediction.measured(outcome, values[number], sites[number], note)


def gap_of_roles(record: InterpretabilityRecord, prediction: Prediction) -> PredictionEvidence:
    """Return whether the modality gap is larger for relations that were not trained in audio.

    Relations that are not known in text say nothing about access from audio: the outcome is then
    undecided.
    """
    trials, bootstrap, rules = record.trials.trials, record.config.bootstrap, record.config.rules
    chosen = [t for t in trials if t.role in ("text_only", "held_out")]
    others, trained = gaps(chosen), gaps([t for t in trials if t.role == "audio_and_text"])
    if not others or not trained:
        return prediction.missing("the roles of the relations in the training are unknown")
    difference = difference_of_means(others, trained, bootstrap)
    text = concept_mean(correct_answers(chosen, "text"), len(chosen), bootstrap)
    outcome = rules.outcome(difference, rules.accuracy_margin)
    note = f"{len(others)} trials minus {len(trained)} trials trained in audio and text"
    return _known(rules, text, _CHANCE, prediction.measured(outcome, difference, note=note))


def no_transfer(record: InterpretabilityRecord, prediction: Prediction) -> PredictionEvidence:
    """Return whether a classifier that is trained on text is at chance on audio.

    The site is the one at which a classifier that is trained on audio is best, so that the choice
    does not depend on the transfer.
    """
    table = record.tables.get(TRANSFER)
    rows = [] if table is None else _rows(table, train="text", test="audio", label=CLASS)
    ceilings = {} if table is None else {r: estimate_in(table, r, "ceiling_auc") for r in rows}
    defined = [row for row, ceiling in ceilings.items() if ceiling.value is not None]
    if table is None or not defined:
        return prediction.missing(_NOT_MADE if table is None else "all values are undefined")
    rules = record.config.rules
    best = max(defined, key=lambda row: ceilings[row].value or 0.0)
    above_chance = shifted(estimate_in(table, best, "auc"), -0.5)
    p_value = table.columns["p_value"][best]
    transfers = rules.outcome(above_chance, rules.accuracy_margin)
    readable = rules.outcome(shifted(ceilings[best], -0.5), rules.accuracy_margin) == "agrees"
    outcome: Outcome = "undecided"
    if transfers == "agrees" and isinstance(p_value, float) and p_value < rules.significance:
        outcome = "disagrees"
    elif transfers == "disagrees" and readable:
        outcome = "agrees"
    note = f"AUC minus .5; ceiling {ceilings[best]}"
    return prediction.measured(outcome, above_chance, str(table.columns["site"][best]), note)


def no_similarity(record: InterpretabilityRecord, prediction: Prediction) -> PredictionEvidence:
    """Return whether the similarity of text and audio is significant at any pair of sites.

    Without a significant pair the outcome is undecided: a difference is not shown.
    """
    table = record.tables.get(SIMILARITY)
    rows = [] if table is None or not len(table) else _rows(table, group=ALL)
    p_values = {
        row: p
        for row in rows
        if table is not None and isinstance(p := table.columns["corrected_p_value"][row], float)
    }
    if table is None or not p_values:
        return prediction.missing(_NOT_MADE if table is None else "all values are undefined")
    best = min(p_values, key=lambda row: p_values[row])
    excess, n = table.columns["excess"][best], table.columns["n_concepts"][best]
    estimate = Estimate(
        value=float(excess) if isinstance(excess, float) else None,
        n=n if isinstance(n, int) else 0,
        method="CKA minus the mean of its permutations",
    )
    outcome: Outcome = "undecided"
    if p_values[best] < record.config.rules.significance:
        outcome = "disagrees"
    place = f"{table.columns['first'][best]} in text, {table.columns['second'][best]} in audio"
    note = f"CKA above that of permuted concepts, corrected p {p_values[best]:.3g}"
    return prediction.measured(outcome, estimate, place, note)


def class_by_familiarity(
    record: InterpretabilityRecord, prediction: Prediction
) -> PredictionEvidence:
    """Return whether probes of encoder and connector are worse for unfamiliar recordings.

    It agrees if one site agrees and none disagrees, and disagrees if all sites disagree.
    """
    table = record.tables.get(LINEAR)
    if table is None:
        return prediction.missing(_NOT_MADE)
    rules = record.config.rules
    differences, familiar = {}, {}
    for site in _ENCODER_SITES:
        aucs = [
            estimate_in(table, row, "auc")
            for group in (FAMILIARITY[True], FAMILIARITY[False])
            for row in _rows(table, group=group, modality="audio", label=CLASS, site=site)
        ]
        if len(aucs) == 2:
            differences[site] = independent_difference(*aucs)
            familiar[site] = aucs[0]
    if not differences:
        return prediction.missing(_ONE_KIND)
    outcomes = [rules.outcome(each, rules.accuracy_margin) for each in differences.values()]
    outcome: Outcome = "undecided"
    if "agrees" in outcomes and "disagrees" not in outcomes:
        outcome = "agrees"
    elif set(outcomes) == {"disagrees"}:
        outcome = "disagrees"
    site = max(differences, key=lambda name: differences[name].value or 0.0)
    note = "AUC for familiar minus unfamiliar recordings, conservative interval"
    evidence = prediction.measured(outcome, differences[site], site, note)
    return _known(rules, familiar[site], _CHANCE, evidence)


def answers_by_familiarity(
    record: InterpretabilityRecord, prediction: Prediction
) -> PredictionEvidence:
    """Return whether the same questions are answered worse about unfamiliar recordings."""
    familiar, unfamiliar = of_shared_questions(*_by_familiarity(record))
    values = correct_answers(familiar, "audio"), correct_answers(unfamiliar, "audio")
    return _familiar_minus_unfamiliar(record, prediction, *values, _CHANCE)


def recognition_by_familiarity(
    record: InterpretabilityRecord, prediction: Prediction
) -> PredictionEvidence:
    """Return whether unfamiliar recordings of the same concepts are recognised less often."""
    familiar, unfamiliar = (recognition(trials) for trials in _by_familiarity(record))
    shared = {concept for concept, _ in familiar} & {concept for concept, _ in unfamiliar}
    first, second = ([v for v in side if v[0] in shared] for side in (familiar, unfamiliar))
    return _familiar_minus_unfamiliar(record, prediction, first, second, _CHANCE_OF_RECOGNITION)


def _by_familiarity(record: InterpretabilityRecord) -> tuple[Trials, Trials]:
    familiar, unfamiliar = (
        [t for t in record.trials.trials if t.familiar is value] for value in (True, False)
    )
    return familiar, unfamiliar


def _familiar_minus_unfamiliar(
    record: InterpretabilityRecord,
    prediction: Prediction,
    familiar: ConceptValues,
    unfamiliar: ConceptValues,
    chance: float,
) -> PredictionEvidence:
    if not familiar or not unfamiliar:
        return prediction.missing(f"{_ONE_KIND} of the same concepts")
    bootstrap, rules = record.config.bootstrap, record.config.rules
    difference = difference_of_means(familiar, unfamiliar, bootstrap)
    outcome = rules.outcome(difference, rules.accuracy_margin)
    known = concept_mean(familiar, len(familiar), bootstrap)
    note = f"familiar minus unfamiliar, {len(familiar)} and {len(unfamiliar)} items"
    return _known(rules, known, chance, prediction.measured(outcome, difference, note=note))


def _known(
    rules: ConclusionRules, known: Estimate, chance: float, evidence: PredictionEvidence
) -> PredictionEvidence:
    """Return evidence, whose outcome is undecided unless a value is above chance."""
    if rules.outcome(shifted(known, -chance), rules.accuracy_margin) == "agrees":
        return evidence
    note = f"{evidence.note}; undecided, because {known} is not above chance ({chance:g})"
    return replace(evidence, outcome="undecided", note=note)


def _rows(table: DataTable, **values: str) -> list[int]:
    """Return the numbers of the rows of a table that have the given values."""
    columns = [table.columns[name] for name in values]
    wanted = tuple(values.values())
    return [n for n, row in enumerate(zip(*columns, strict=True)) if row == wanted]

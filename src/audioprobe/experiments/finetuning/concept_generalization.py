"""What pairs about some concepts do for others: those near to them, and those of other families."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, TypeAlias, get_args

from audioprobe.concepts import Concepts
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.cross_modal_transfer import ASKED
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.experiments.finetuning.paired_difference import (
    PairedDifference,
    Values,
    accuracy_by_item,
    apart,
)
from audioprobe.experiments.finetuning.run_result import QuestionResult, RunResult, by_levels
from audioprobe.finetuning.strategy import PairedQuestionTraining
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.multiple_testing import holm

Group: TypeAlias = Literal["in pairs", "others of these families", "other families"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True, slots=True)
class ConceptGeneralization:
    """A strategy with pairs, asked in one way about some of the concepts.

    Attributes:
        trained: its levels, as of `Tried`.
        holding: as there.
        alignment: as there.
        asked: of the word or of the sound.
        concepts: that pairs were about, others of the same families (`Concept.kind`), or the rest.
        n_concepts: how many.
        change: accuracy minus that of the model before; concepts are resampled.
        beyond: minus that of the strategy without a tie, by the same seeds; None where the study
            has none.
        corrected: p-value of `told` among all of the study (Holm).
    """

    trained: str
    holding: str
    alignment: str
    asked: str
    concepts: Group
    n_concepts: int
    change: PairedDifference
    beyond: PairedDifference | None
    corrected: float | None = None

    @property
    def told(self) -> PairedDifference:
        """Beyond the strategy without a tie; where there is none, since before."""
        return self.beyond or self.change

    @property
    def direction(self) -> int:
        """1 or -1 where interval, seeds and corrected test agree on it, else 0."""
        return self.told.told_apart(self.corrected)


def held_out(
    study: StudyConfig,
    trainings: Sequence[RunResult],
    before: Sequence[QuestionResult],
    halves: frozenset[str],
) -> tuple[ConceptGeneralization, ...]:
    """All strategies with pairs; none where no training of one ended.

    Args:
        study: whose strategies they are.
        trainings: without those of invented classes.
        before: answers of the model as it was.
        halves: ids of the concepts that pairs may be about.
    """
    pairs = {
        cell.configuration: paired
        for cell in training_runs(study)
        if not cell.transfer and (paired := cell.strategy.get(PairedQuestionTraining)) is not None
    }
    untied = study.labels["alignment"][0]
    groups = by_levels(trainings)
    found: list[ConceptGeneralization] = []
    for (trained, holding, alignment), group in groups.items():
        if group[0].configuration in pairs:
            belongs = _belonging(before, pairs[group[0].configuration], halves)
            other = groups.get((trained, holding, untied), ()) if alignment != untied else ()
            found += _asked(group, other, before, belongs, study.bootstrap)
    corrected = holm([one.told.p_value for one in found])
    return tuple(replace(one, corrected=p) for one, p in zip(found, corrected, strict=True))


def _asked(
    group: Sequence[RunResult],
    other: Sequence[RunResult],
    before: Sequence[QuestionResult],
    belongs: Mapping[str, Group],
    bootstrap: Bootstrap,
) -> Iterator[ConceptGeneralization]:
    first = group[0]
    for asked, concepts in product(ASKED, GROUPS):
        names = {name for name, own in belongs.items() if own == concepts}
        was = accuracy_by_item(before, asked, names)
        now, partner = (_by_seed(some, asked, names) for some in (group, other))
        if not was or not now:
            continue
        both = [(partner[seed], own) for seed, own in now.items() if seed in partner]
        yield ConceptGeneralization(
            first.trained,
            first.holding,
            first.alignment,
            asked,
            concepts,
            len({answer.concept for answer, _ in was.values()}),
            apart([(was, own) for own in now.values()], bootstrap),
            apart(both, bootstrap) if both else None,
        )


def _by_seed(
    group: Sequence[RunResult], asked: str, concepts: Collection[str]
) -> dict[int, Values]:
    return {
        one.seed: accuracy_by_item(one.measured.probe, asked, concepts)
        for one in group
        if one.measured is not None
    }


def _belonging(
    answers: Sequence[QuestionResult], paired: PairedQuestionTraining, halves: frozenset[str]
) -> dict[str, Group]:
    """Which group each concept that is asked about belongs to."""
    shipped = Concepts.shipped()
    found: dict[str, Group] = {}
    for name in {answer.concept for answer in answers}:
        near = not paired.concept_kinds or shipped[name].kind in paired.concept_kinds
        found[name] = GROUPS[2] if not near else GROUPS[0] if name in halves else GROUPS[1]
    return found

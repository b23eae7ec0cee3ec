"""Does the model answer yes and no rightly? The same relations in words and in sound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.choices import blind_guesses, most_likely_option
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.pairs import ConceptPair
from audioprobe.protocols import LikelihoodModel
from audioprobe.small_ltu.evaluation.measures import Measure
from audioprobe.small_ltu.relations import RelationPair
from audioprobe.training.questions import audio_question, text_question
from audioprobe.types import Clip, Estimate, Prompt

_ANSWERS = ("Yes.", "No.")


@dataclass(frozen=True, slots=True)
class RelationTrial:
    """One question with its answer.

    Attributes:
        relation: what was asked.
        yes: how much likelier "Yes." was than "No.", in nats.
    """

    relation: ConceptPair
    yes: float

    @property
    def right(self) -> bool | None:
        """Whether the likelier answer was right; None for a tie or NaN."""
        chosen = most_likely_option((self.yes, 0.0))
        return None if chosen is None else (chosen == 0) == self.relation.holds


def ask_words(
    model: LikelihoodModel, relations: Sequence[ConceptPair], seed: int
) -> list[RelationTrial]:
    """Each relation once, asked of the word."""
    rng = np.random.default_rng(seed)
    prompts = [Prompt(text_question(relation, rng).instruction) for relation in relations]
    return _asked(model, prompts, relations)


def ask_sounds(
    model: LikelihoodModel,
    relations: Sequence[ConceptPair],
    clips: Mapping[str, Sequence[Clip]],
    seed: int,
) -> list[RelationTrial]:
    """Each relation once of every clip of its concept.

    Args:
        model: asked.
        relations: of concepts that have clips.
        clips: with a waveform each, by the id of the concept that is heard in them.
        seed: of the wordings.
    """
    rng = np.random.default_rng(seed)
    asked = [
        (clip.id, audio_question(relation, clip.id, rng).instruction, clip.waveform, relation)
        for relation in relations
        for clip in clips[relation.concept]
    ]
    asked.sort(key=lambda item: item[0])  # the questions about a sound together: encoded once
    prompts = [Prompt(question, audio=sound) for _, question, sound, _ in asked]
    return _asked(model, prompts, [relation for *_, relation in asked])


def accuracy(trials: Sequence[RelationTrial], bootstrap: Bootstrap) -> Estimate:
    """Share of right answers; concepts are resampled, and trials without an answer left out."""
    return _over_concepts([trial.right for trial in trials], trials, bootstrap)


def blind(trials: Sequence[RelationTrial], bootstrap: Bootstrap) -> Estimate:
    """What a guesser reaches who never listens; see `metrics.choices.blind_guesses`."""
    asked = [trial.relation for trial in trials]
    found = blind_guesses(
        [[((r.relation, a, r.target), (r.relation, a)) for a in _ANSWERS] for r in asked],
        [0 if own.holds else 1 for own in asked],
        [(own.relation, own.target, own.match) for own in asked],
    )
    return _over_concepts(found, trials, bootstrap)


def measured(name: str, trials: Sequence[RelationTrial], bootstrap: Bootstrap) -> Measure:
    """Accuracy beside the blind guesser's."""
    return Measure(name, accuracy(trials, bootstrap), blind(trials, bootstrap))


def gap(
    words: Sequence[RelationTrial], sounds: Sequence[RelationTrial], bootstrap: Bootstrap
) -> Estimate:
    """Accuracy in words minus accuracy in sound, over the same relations; concepts are resampled.

    Args:
        words: one trial per relation.
        sounds: as many trials for every relation of `words`.
        bootstrap: how intervals are computed.
    """
    in_text = {_key(trial.relation): trial.right for trial in words}
    pairs = [(in_text[_key(trial.relation)], trial.right) for trial in sounds]
    differences = [None if a is None or b is None else float(a) - b for a, b in pairs]
    return _over_concepts(differences, sounds, bootstrap)


def relations_of(
    pairs: Sequence[RelationPair], *, kind: str, holdings: Sequence[str], concepts: Sequence[str]
) -> list[ConceptPair]:
    """Both relations of those pairs whose concepts are all among the given ones."""
    return [
        relation
        for pair in pairs
        if pair.true.relation == kind
        and pair.role in holdings
        and all(relation.concept in concepts for relation in pair.both)
        for relation in pair.both
    ]


def _asked(
    model: LikelihoodModel, prompts: Sequence[Prompt], relations: Sequence[ConceptPair]
) -> list[RelationTrial]:
    answers = model.log_likelihood(prompts, _ANSWERS)
    return [
        RelationTrial(relation, yes.total - no.total)
        for relation, (yes, no) in zip(relations, answers, strict=True)
    ]


def _over_concepts(
    values: Sequence[float | None], trials: Sequence[RelationTrial], bootstrap: Bootstrap
) -> Estimate:
    """Mean of a value per trial; trials of one concept are drawn together."""
    known = [
        (value, trial.relation.concept)
        for value, trial in zip(values, trials, strict=True)
        if value is not None
    ]
    found = bootstrap.estimate(
        mean([value for value, _ in known]),
        len(known),
        groups=[concept for _, concept in known],
        unit="concepts",
    )
    return replace(found, n_undefined=len(trials) - len(known))


def _key(relation: ConceptPair) -> tuple[str, str, str, bool]:
    return relation.concept, relation.relation, relation.target, relation.holds

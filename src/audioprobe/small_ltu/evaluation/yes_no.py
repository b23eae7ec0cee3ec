"""Yes/no questions about relations ("a crow is a bird"), in text and about clips.

The answers are scored by `audioprobe.probing`.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.pairs import ConceptPair
from audioprobe.probing.questions import ProbeQuestion
from audioprobe.probing.scores import accuracy, blind_accuracy
from audioprobe.probing.trial import Trial
from audioprobe.probing.yes_no import likelihood_scorer, score_yes_no
from audioprobe.protocols import LikelihoodModel
from audioprobe.small_ltu.evaluation.results import Measure
from audioprobe.small_ltu.relations import RelationPair, SplitRole
from audioprobe.training.questions import audio_question, text_question
from audioprobe.types import Clip, Estimate


def text_trials(
    model: LikelihoodModel, relations: Sequence[ConceptPair], seed: int
) -> tuple[Trial, ...]:
    """Ask one question in text about each relation and return the scored answers.

    Args:
        model: the model to evaluate.
        relations: true and false relations.
        seed: random seed of the wordings.
    """
    rng = np.random.default_rng(seed)
    questions = [
        ProbeQuestion(
            pair=relation,
            condition="text",
            text=text_question(relation, rng).instruction,
            correct=int(not relation.holds),
        )
        for relation in relations
    ]
    return score_yes_no(questions, likelihood_scorer(model), {})


def audio_trials(
    model: LikelihoodModel,
    relations: Sequence[ConceptPair],
    clips: Mapping[str, Sequence[Clip]],
    seed: int,
) -> tuple[Trial, ...]:
    """Ask one question about each relation and each clip of its concept; return scored answers.

    Args:
        model: the model to evaluate.
        relations: relations whose concepts have clips.
        clips: clips with a waveform, by concept.
        seed: random seed of the wordings.

    Returns:
        The trials (questions with their scored answers), sorted by clip.
    """
    rng = np.random.default_rng(seed)
    questions = [
        ProbeQuestion(
            pair=relation,
            condition="audio",
            clip=clip.id,
            audio=clip.id,
            text=audio_question(relation, clip.id, rng).instruction,
            correct=int(not relation.holds),
        )
        for relation in relations
        for clip in clips[relation.concept]
    ]
    questions.sort(key=lambda question: question.clip)
    waveforms = {clip.id: clip.waveform for group in clips.values() for clip in group}
    sounds = {key: (lambda wave=wave: wave) for key, wave in waveforms.items() if wave is not None}
    return score_yes_no(questions, likelihood_scorer(model), sounds)


def accuracy_measure(name: str, trials: Sequence[Trial], bootstrap: Bootstrap) -> Measure:
    """Return the accuracy, and that of guessing without the input; concepts are resampled."""
    blind = blind_accuracy(trials, "likelihood", bootstrap)
    return Measure(name, accuracy(trials, "likelihood", bootstrap), blind)


def accuracy_gap(text: Sequence[Trial], audio: Sequence[Trial], bootstrap: Bootstrap) -> Estimate:
    """Return text accuracy minus audio accuracy on the same relations; concepts are resampled."""
    return modality_gap([*text, *audio], "likelihood", bootstrap).difference


def relations_with_role(
    pairs: Sequence[RelationPair], roles: Collection[SplitRole], concepts: Collection[str]
) -> list[ConceptPair]:
    """Return the hypernym relations of all pairs with one of the roles.

    Args:
        pairs: pairs of a true and a false relation.
        roles: roles of the pairs to select; see `SplitRole`.
        concepts: ids of the concepts that the relations may be about.
    """
    return [
        relation
        for pair in pairs
        if pair.true.relation == "hypernym"
        and pair.role in roles
        and pair.concepts <= set(concepts)
        for relation in pair.both
    ]

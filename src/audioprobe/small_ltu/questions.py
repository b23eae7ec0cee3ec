"""Training questions of the small LTU: about synthetic scenes, and multiple-choice questions."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from audioprobe.concepts import Concept
from audioprobe.datasets.synthetic import SceneSource
from audioprobe.probing.pairs import ConceptPair
from audioprobe.small_ltu.relations import are_related
from audioprobe.training.examples import QARecord
from audioprobe.training.questions import (
    CAPTION_QUESTION,
    LABELS_QUESTION,
    draw,
    enumerate_phrases,
    yes_or_no,
)

N_OPTIONS = 4
"""Number of options of a multiple-choice question."""

_TEXT_CHOICE = "Which of these is {concept}: {options}?"
_AUDIO_CHOICE = "Which of these do you hear: {options}?"
_PRESENCE = ("Is there the sound of {} in this recording?", "Can you hear {}?")
_OPEN = ("What do you hear?", "What makes the sound in this recording?")
_FIRST = "Which sound comes first?"
_LAST = "Which sound comes last?"
_LOUDEST = "Which sound is the loudest?"
_HOW_MANY = "How many different sounds are there?"
_NUMBERS = ("One.", "Two.", "Three.")
_CAPTIONS = ("The sound of {}.", "{}.", "One can hear {}.")
_LOUDER_DB = 4.0  # smallest level difference between the loudest source and any other source


def choice_question(
    pair: ConceptPair, others: Sequence[str], rng: np.random.Generator, audio_id: str = ""
) -> QARecord:
    """Return a question in which the class of a concept is chosen among four options.

    Args:
        pair: a concept and a correct class.
        others: phrases of wrong classes, of which three are drawn.
        rng: random generator for the wrong options and the order of all options.
        audio_id: id of a clip of the concept; "" asks a text question that names the concept.
    """
    wrong = [str(phrase) for phrase in rng.choice(list(others), N_OPTIONS - 1, replace=False)]
    options = [str(phrase) for phrase in rng.permutation([pair.target_phrase, *wrong])]
    template = _AUDIO_CHOICE if audio_id else _TEXT_CHOICE
    return QARecord(
        instruction=template.format(
            concept=pair.phrase, options=enumerate_phrases(options, " or ")
        ),
        output=_capitalized(f"{pair.target_phrase}."),
        audio_id=audio_id,
        dataset="synthetic" if audio_id else "concepts",
        task=f"choice, {'audio' if audio_id else 'text'}",
    )


def scene_questions(
    sources: Sequence[SceneSource],
    audio_id: str,
    concepts: Sequence[Concept],
    rng: np.random.Generator,
) -> tuple[QARecord, ...]:
    """Return questions with answers about a scene, which contains one or more sound sources.

    Args:
        sources: sources of the scene, sorted by onset.
        audio_id: id of the scene.
        concepts: concepts from which the absent source is drawn; all sources must be among them.
        rng: random generator for wordings and for the absent source.

    Returns:
        Questions for the caption, the labels, an open description, the number of sources, the
        presence of a source of the scene, and the presence of an absent source. If one of several
        sources is clearly the loudest, a question for it; if all sources start one after another,
        questions for the first and the last.
    """
    by_id = {concept.id: concept for concept in concepts}
    present = [by_id[source.concept] for source in sources]
    phrases = [concept.phrase for concept in present]
    successive = _are_successive(sources)
    link = ", then " if successive else " and "
    caption = _capitalized(draw(_CAPTIONS, rng).format(enumerate_phrases(phrases, link)))
    labels = "; ".join(concept.name for concept in present)
    questions = [
        ("caption", CAPTION_QUESTION, f"Audio caption: {caption}"),
        ("labels", LABELS_QUESTION, f"Labels: {labels}"),
        ("open", draw(_OPEN, rng), f"{_capitalized(enumerate_phrases(phrases, ' and '))}."),
        ("number", _HOW_MANY, _NUMBERS[len(sources) - 1]),
        ("presence", _presence_question(draw(phrases, rng), rng), yes_or_no(holds=True)),
    ]
    absent = [c.phrase for c in concepts if not any(are_related(c, p) for p in present)]
    if absent:
        question = _presence_question(draw(absent, rng), rng)
        questions.append(("presence", question, yes_or_no(holds=False)))
    levels = sorted((source.level_db for source in sources), reverse=True)
    if len(sources) > 1 and levels[0] - levels[1] > _LOUDER_DB:
        loudest = max(range(len(sources)), key=lambda n: sources[n].level_db)
        questions.append(("loudness", _LOUDEST, f"{_capitalized(phrases[loudest])}."))
    if successive:
        questions.append(("order", _FIRST, f"{_capitalized(phrases[0])}."))
        questions.append(("order", _LAST, f"{_capitalized(phrases[-1])}."))
    return tuple(
        QARecord(
            instruction=question, output=answer, audio_id=audio_id, dataset="synthetic", task=task
        )
        for task, question, answer in questions
    )


def _are_successive(sources: Sequence[SceneSource]) -> bool:
    """Return whether each source starts after the middle of the previous source."""
    return len(sources) > 1 and all(
        later.onset > (earlier.onset + earlier.offset) / 2 for earlier, later in pairwise(sources)
    )


def _presence_question(phrase: str, rng: np.random.Generator) -> str:
    return draw(_PRESENCE, rng).format(phrase)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]

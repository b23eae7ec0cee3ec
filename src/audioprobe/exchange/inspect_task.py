"""Concept probes as tasks of inspect_ai; importing this module requires the extra `exchange`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.exchange.inspect_folder import SOUNDS, InspectQuestions, read_inspect_questions
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.probing.question_asker import parse_response
from audioprobe.probing.trial import CONDITIONS, ProbeQuestion

with needs_extra("exchange"):
    from inspect_ai import Epochs, Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessageUser, Content, ContentAudio, ContentText
    from inspect_ai.scorer import (
        CORRECT,
        INCORRECT,
        NOANSWER,
        Metric,
        SampleScore,
        Score,
        Scorer,
        Target,
        Value,
        metric,
        scorer,
    )
    from inspect_ai.solver import TaskState, generate

QUESTION = "audioprobe"
"""Key of the question in the metadata of a sample."""
TASK_NAME = "concept_probe"


def concept_task(folder: str | Path) -> Task:
    """Return the task of a folder that `write_inspect` or `audioprobe export` wrote.

    Each sample has the sound as `ContentAudio`, if the question has one, and its text as
    `ContentText`. The response is parsed by the rules of `audioprobe.probing.answers`. A score is
    "C" (correct), "I" (incorrect) or "N" (the response names no option).

    Raises:
        InvalidInputError: if the folder is incomplete.
    """
    content = read_inspect_questions(folder)
    sounds = Path(folder).resolve() / SOUNDS
    paths = {key: sounds / Path(name).name for key, name in content.sounds.items()}
    return questions_task(content, paths)


def questions_task(content: InspectQuestions, sounds: Mapping[str, Path]) -> Task:
    """Return a task that asks questions.

    Args:
        content: the questions.
        sounds: WAV file of each sound, keyed by `ProbeQuestion.audio`.
    """
    samples = [_sample(n, q, sounds) for n, q in enumerate(content.questions, 1)]
    metadata = {
        "audioprobe": content.version,
        "seed": content.seed,
        "left_out": dict(content.left_out),
    }
    return Task(
        name=TASK_NAME,
        dataset=MemoryDataset(samples, name=TASK_NAME),
        solver=generate(),
        scorer=probe_scorer(),
        epochs=Epochs(1, "mode"),  # a mean would turn an invalid answer into a number
        metadata=metadata,
    )


def _sample(number: int, question: ProbeQuestion, sounds: Mapping[str, Path]) -> Sample:
    content: list[Content] = []
    if question.audio:
        content.append(ContentAudio(audio=str(sounds[question.audio]), format="wav"))
    content.append(ContentText(text=question.text))
    return Sample(
        id=number,
        input=[ChatMessageUser(content=content)],
        target=question.options[question.correct],
        choices=list(question.options),
        metadata={
            "condition": question.condition,
            "concept": question.pair.concept,
            "relation": question.pair.relation,
            QUESTION: json.loads(to_json(question)),
        },
    )


def question_of(metadata: Mapping[str, object]) -> ProbeQuestion | None:
    """Return the question in the metadata of a sample; None if it has none.

    Raises:
        InvalidInputError: if the question is damaged, or of another version.
    """
    if not isinstance(metadata.get(QUESTION), Mapping):
        return None
    return from_json(ProbeQuestion, json.dumps(metadata[QUESTION]))


@metric  # type: ignore[untyped-decorator]
def by_condition() -> Metric:
    """Metric that reports each condition (text, audio, ...) separately.

    For each condition, "accuracy" is the share of correct answers among valid answers, "strict"
    the share among all answers, "invalid" the number of invalid answers, and "n" the number of
    answers. A condition without valid answers has no accuracy.
    """

    def compute(scores: list[SampleScore]) -> Value:
        values: dict[str, list[object]] = {}
        for each in scores:
            condition = str((each.sample_metadata or {}).get("condition"))
            values.setdefault(condition, []).append(each.score.value)
        result: dict[str, str | int | float | bool | None] = {}
        for condition in sorted(values, key=_position):
            result |= _of_condition(condition, values[condition])
        return result

    return compute


def _of_condition(condition: str, values: Sequence[object]) -> dict[str, float]:
    n_correct, n_invalid = values.count(CORRECT), values.count(NOANSWER)
    n_valid = len(values) - n_invalid
    accuracy = {f"{condition} accuracy": n_correct / n_valid} if n_valid else {}
    return {
        **accuracy,
        f"{condition} strict": n_correct / len(values),
        f"{condition} invalid": n_invalid,
        f"{condition} n": len(values),
    }


def _position(condition: str) -> int:
    names: Sequence[str] = CONDITIONS
    return names.index(condition) if condition in names else len(names)


@scorer(metrics=[by_condition()])  # type: ignore[untyped-decorator]
def probe_scorer() -> Scorer:
    """Scorer that parses the response by the rules of `audioprobe.probing.answers`."""

    async def score(state: TaskState, target: Target) -> Score:
        del target
        question = question_of(state.metadata)
        if question is None:
            raise InvalidInputError(
                f"Sample {state.sample_id}: expected a question of audioprobe in the metadata "
                f"{QUESTION!r}, received none. Use this scorer with `concept_task`."
            )
        response = state.output.completion
        choice = parse_response(response, question)
        if choice is None:
            reason = "invalid_response_format" if response.strip() else "no_response"
            return Score(value=NOANSWER, explanation=response, reason=reason)
        value = CORRECT if choice == question.correct else INCORRECT
        return Score(value=value, answer=question.options[choice], explanation=response)

    return score

"""Samples of a classification run: clips with the caption and the best labels of each prompt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.reports.samples import Answer, Sample, scored_answer, spread


def clip_samples(
    cells: Sequence[ClassificationCell], prompts: Mapping[tuple[str, str], str], most: int
) -> tuple[list[Sample], int]:
    """Return a sample for each of up to `most` clips, and the number of all clips.

    A sample has an answer per prompt level. The clips are equally spaced.

    Args:
        cells: results of a run, one for each prompt level on each evaluation set.
        prompts: text of the prompt, by evaluation set and prompt level.
        most: maximum number of samples.
    """
    sets = dict.fromkeys(cell.evaluation_set for cell in cells)
    every_clip = [
        (name, clip)
        for name in sets
        for clip in dict.fromkeys(
            clip for cell in cells if cell.evaluation_set == name for clip in _clip_ids(cell)
        )
    ]
    selected = set(spread(every_clip, most))
    samples = []
    for name in sets:
        of_set = [cell for cell in cells if cell.evaluation_set == name]
        answers: dict[str, dict[str, Answer]] = {}
        for cell in of_set:
            prompt = prompts[name, cell.prompt_level]
            clips = {clip for clip in _clip_ids(cell) if (name, clip) in selected}
            for clip, answer in _answers(cell, prompt, clips).items():
                answers.setdefault(clip, {})[cell.prompt_level] = answer
        truth, groups = of_set[0].result.truth, of_set[0].groups
        samples += [
            Sample(
                name=clip,
                clip=clip,
                evaluation_set=name,
                labels=truth.get(clip, ()),
                expected=", ".join(truth.get(clip, ())) or "no reference label",
                answers=by_prompt,
                facts={"group": groups[clip]} if clip in groups else {},
            )
            for clip, by_prompt in answers.items()
        ]
    return samples, len(every_clip)


def n_right(data: LabelledScores) -> tuple[int, int]:
    """Return for how many clips the best label is correct, and the number of labelled clips.

    The best label is correct if all labels with the highest score are reference labels.
    """
    is_labelled = data.targets.any(axis=1)
    is_best = data.scores == data.scores.max(axis=1, initial=-np.inf, keepdims=True)
    is_right = is_labelled & ~(is_best & ~data.targets).any(axis=1)
    return int(is_right.sum()), int(is_labelled.sum())


def _clip_ids(cell: ClassificationCell) -> Iterator[str]:
    """Return an iterator over the ids of all clips of a cell, failed clips last."""
    return chain(cell.result.clip_ids, (failure.clip_id for failure in cell.result.failures))


def _answers(cell: ClassificationCell, prompt: str, clips: Collection[str]) -> dict[str, Answer]:
    """Return the answer for each of some clips of a cell, failed clips last, by clip id."""
    result = cell.result
    texts: dict[str, list[str]] = {}
    for caption in result.captions:
        if caption.clip_id in clips:
            texts.setdefault(caption.clip_id, []).append(caption.text)
    responses = {clip: "\n".join(of_clip) for clip, of_clip in texts.items()}
    answers = {}
    for clip, row in zip(result.clip_ids, result.scores, strict=True):
        if clip in clips:
            answers[clip] = scored_answer(
                row,
                result.labels,
                result.truth.get(clip, ()),
                prompt=prompt,
                response=responses.get(clip, ""),
            )
    for failure in result.failures:
        if failure.clip_id not in clips:
            continue
        answers[failure.clip_id] = Answer(
            prompt=prompt,
            response=responses.get(failure.clip_id, ""),
            chosen="none",
            correctness="failed",
            facts={f"failed at {failure.stage}": failure.message},
        )
    return answers

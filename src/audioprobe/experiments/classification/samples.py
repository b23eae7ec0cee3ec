"""Samples of a classification run: clips with the caption and the best labels of each prompt."""

from collections.abc import Mapping, Sequence

from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.reports.samples import Answer, Sample, scored_answer


def clip_samples(
    cells: Sequence[ClassificationCell], prompts: Mapping[tuple[str, str], str]
) -> list[Sample]:
    """Return a sample per clip, with an answer per prompt level.

    Args:
        cells: results of a run, one for each prompt level on each evaluation set.
        prompts: text of the prompt, by evaluation set and prompt level.
    """
    samples = []
    for name in dict.fromkeys(cell.evaluation_set for cell in cells):
        of_set = [cell for cell in cells if cell.evaluation_set == name]
        answers: dict[str, dict[str, Answer]] = {}
        for cell in of_set:
            prompt = prompts[name, cell.prompt_level]
            for clip, answer in _answers(cell, prompt).items():
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
    return samples


def n_right(cell: ClassificationCell) -> tuple[int, int]:
    """Return for how many clips the best label is correct, and the number of labelled clips."""
    answers = _answers(cell, "").values()
    labelled = [a for a in answers if a.correctness not in ("failed", "not labelled")]
    return sum(answer.correctness == "right" for answer in labelled), len(labelled)


def _answers(cell: ClassificationCell, prompt: str) -> dict[str, Answer]:
    """Return the answer for each clip of a cell, failed clips included, by clip id."""
    result = cell.result
    captions = result.captions_by_clip()
    responses = {
        clip: "\n".join(caption.text for caption in of_clip) for clip, of_clip in captions.items()
    }
    answers = {}
    for clip, row in zip(result.clip_ids, result.scores, strict=True):
        answers[clip] = scored_answer(
            row,
            result.labels,
            result.truth.get(clip, ()),
            prompt=prompt,
            response=responses.get(clip, ""),
        )
    for failure in result.failures:
        answers[failure.clip_id] = Answer(
            prompt=prompt,
            response=responses.get(failure.clip_id, ""),
            chosen="none",
            correctness="failed",
            facts={f"failed at {failure.stage}": failure.message},
        )
    return answers

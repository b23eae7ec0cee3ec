"""What several models say of the same clips, side by side."""

from collections.abc import Mapping

from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import Table
from audioprobe.results.classification import ClassificationResult
from audioprobe.results.display_table import shown_caption, without_folder

NOTHING = "–"  # neither a caption nor a score


def captions_beside(results: Mapping[str, ClassificationResult]) -> Table:
    """A row per clip: its labels where any are known, and the captions of each model.

    Args:
        results: by the name of the model; of the same clips.

    Returns:
        A clip that a model failed on has the cause in place of a caption.

    Raises:
        InvalidInputError: if there is no result, or they are of other clips.
    """
    if not results:
        raise InvalidInputError("Nothing to compare: give a result for each model.")
    first, *others = results.values()
    asked = _asked(first)
    if any(set(_asked(other)) != set(asked) for other in others):
        raise InvalidInputError("The results are of different clips: let all models hear the same.")
    said = [_said(result) for result in results.values()]
    truth = first.truth or {}
    rows = tuple(
        (shown, *([", ".join(truth.get(name) or ())] if truth else []), *(c[name] for c in said))
        for name, shown in zip(asked, without_folder(asked), strict=True)
    )
    return Table(("clip", *(["labels"] if truth else []), *results), rows)


def _asked(result: ClassificationResult) -> list[str]:
    return [*result.clip_ids, *(failure.clip_id for failure in result.failures)]


def _said(result: ClassificationResult) -> dict[str, str]:
    said = {
        name: " / ".join(shown_caption(caption.text) for caption in captions) or NOTHING
        for name, captions in result.captions_by_clip().items()
    }
    failed = {failure.clip_id: f"{failure.error}: {failure.message}" for failure in result.failures}
    return said | failed

"""What every scorer asks of captions and labels."""

from collections import Counter
from collections.abc import Mapping, Sequence

from audioprobe.errors import InvalidInputError


def check_texts(captions: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse lists that no scorer can answer.

    Raises:
        InvalidInputError: for no labels, an empty or repeated label, an empty caption, or a plain
            string where a list is meant.
    """
    for name, texts in (("captions", captions), ("labels", labels)):
        if isinstance(texts, str):
            raise InvalidInputError(f"{name} must be a list of texts, got the text {texts!r:.60}.")
    if not labels:
        raise InvalidInputError("At least one label is needed, got none.")
    if any(not label.strip() for label in labels):
        raise InvalidInputError("Every label needs a text, got an empty one.")
    repeated = [label for label, n in Counter(labels).items() if n > 1]
    if repeated:
        raise InvalidInputError(f"Labels must differ, {repeated[0]!r} came more than once.")
    empty = [n for n, caption in enumerate(captions) if not caption.strip()]
    if empty:
        raise InvalidInputError(
            f"An empty caption says nothing that could be scored: {len(empty)} of {len(captions)}, "
            f"the first at position {empty[0]}."
        )


def check_template(template: str) -> None:
    """Refuse a template that has no single place for the text.

    Raises:
        InvalidInputError: unless "{}" is in it exactly once.
    """
    if template.count("{}") != 1:
        raise InvalidInputError(f'The template needs "{{}}" exactly once, got {template!r}.')


def wordings(label: str, synonyms: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The label and its synonyms, without repetition."""
    return tuple(dict.fromkeys([label, *synonyms.get(label, ())]))


def checked_synonyms(
    synonyms: Mapping[str, Sequence[str]] | None,
) -> dict[str, tuple[str, ...]]:
    """Synonyms by label, as given.

    Raises:
        InvalidInputError: for a plain string where a list is meant.
    """
    for label, words in (synonyms or {}).items():
        if isinstance(words, str):
            raise InvalidInputError(f"Synonyms of {label!r} must be a list, got {words!r:.60}.")
    return {label: tuple(words) for label, words in (synonyms or {}).items()}

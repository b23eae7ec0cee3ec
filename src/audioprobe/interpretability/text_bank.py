"""States of texts at several sites, with which other states are compared; see `nearest_texts`."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import SpanStates, States, read_states
from audioprobe.interpretability.batches import Item, in_batches
from audioprobe.interpretability.lens_places import check_concepts
from audioprobe.interpretability.recording_files import COLUMNS, Recording
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, find_sites, span_range
from audioprobe.types import FloatArray

_ROUNDING = 1e-5  # largest difference of equal states in different batches, relative
_AUDIO = "Expected a text, got a prompt with audio, whose states are not of text alone."


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextBank:
    """States of texts, such as the phrase of a concept in different questions.

    Attributes:
        texts: each text, for tables.
        concepts: concept of each text, such as "crow"; at least two different ones.
        states: states by site, in the order of the forward pass, shape (n_texts, width) each.
        missing: why each left-out prompt has no states, by its index.

    Raises:
        InvalidInputError: if there are fewer than two concepts, or shapes differ.
    """

    texts: tuple[str, ...]
    concepts: tuple[Hashable, ...]
    states: Mapping[str, States]
    missing: Mapping[int, str]

    def __post_init__(self) -> None:
        shapes = {values.shape for values in self.states.values()}
        lengths = {len(self.texts), len(self.concepts), *(shape[0] for shape in shapes)}
        if len(shapes) != 1 or len(lengths) != 1:
            raise InvalidInputError(
                f"Expected states of shape (n_texts, width) of {len(self.texts)} texts and "
                f"{len(self.concepts)} concepts, the same at all sites, got {sorted(shapes)}."
            )
        if len(set(self.concepts)) < 2:
            raise InvalidInputError(
                f"Expected texts of at least two concepts, got {len(set(self.concepts))} "
                f"({len(self.missing)} prompts have no states). Add texts."
            )

    @classmethod
    def of(
        cls,
        model: Inspectable,
        prompts: Sequence[InspectedPrompt],
        concepts: Sequence[Hashable],
        *,
        span: str = "concept",
        sites: str | Sequence[str] = "lm.resid.*",
        batch_size: int = 8,
        progress: ProgressCallback = ignore_progress,
    ) -> "TextBank":
        """Return the mean states of a span of each prompt.

        Args:
            model: the model.
            prompts: prompts; one with audio is left out, because its states are not of text.
            concepts: concept of each prompt.
            span: span of the states; "concept" is the phrase of the concept in its question.
            sites: sites of the states, or patterns. Different layers may be near to audio.
            batch_size: prompts per forward pass.
            progress: called after every batch.

        Raises:
            InvalidInputError: if numbers differ, or fewer than two concepts have states.
        """
        check_concepts(len(prompts), concepts=concepts)
        span_range(span)
        names = find_sites(sites, model.sites)

        def compute(batch: Sequence[Item]) -> list[SpanStates]:
            if any(prompt.prompt.audio is not None for prompt, _ in batch):
                raise InvalidInputError(_AUDIO)
            return read_states(model, batch, names, [span])

        results = in_batches(
            model, prompts, compute, batch_size=batch_size, stage="texts", progress=progress
        )
        missing = dict(results.failures)
        missing |= {n: f"has no span {span!r}" for n, s in results.values.items() if not s}
        present = sorted(set(results.values) - set(missing))
        items = {n: results.items[n][0] for n in present}
        return cls(
            tuple(item.concept or item.prompt.text for item in items.values()),
            tuple(concepts[n] for n in present),
            {s: _stacked([results.values[n][s, span] for n in present]) for s in names},
            missing,
        )

    @classmethod
    def from_recording(
        cls,
        recording: Recording,
        concepts: Sequence[Hashable],
        *,
        span: str = "concept",
        sites: str | Sequence[str] = "lm.resid.*",
    ) -> "TextBank":
        """Return the recorded states of a span.

        Args:
            recording: recording with one vector per span; prompts with audio are left out.
            concepts: concept of each row.
            span: a recorded span.
            sites: recorded sites, or patterns.

        Raises:
            InvalidInputError: if numbers differ, the span or a site was not recorded, positions
                were not pooled, or fewer than two concepts have states.
        """
        check_concepts(len(recording), concepts=concepts)
        if recording.pooling == "each":
            raise InvalidInputError(
                'Expected a recording with one vector per span, got pooling="each". Record the '
                'texts with pooling="mean".'
            )
        states = {s: recording.states(s, span) for s in find_sites(sites, recording.sites)}
        without = np.any([np.isnan(v).any(axis=1) for v in states.values()], axis=0)
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in recording.rows]
        missing = {int(n): f"has no span {span!r}" for n in np.flatnonzero(without)}
        missing |= {n: _AUDIO for n, row in enumerate(rows) if row["seconds"]}
        missing |= recording.failures
        present = [n for n in range(len(rows)) if n not in missing]
        return cls(
            tuple(str(rows[n]["concept"] or rows[n]["question"]) for n in present),
            tuple(concepts[n] for n in present),
            {site: values[present] for site, values in states.items()},
            missing,
        )

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> tuple[Hashable, ...]:
        """The concepts, each once."""
        return tuple(dict.fromkeys(self.concepts))

    def unit_vectors(self, site: str, center: bool) -> States:
        """Return the states of a site, divided by their norms, shape (n_texts, width).

        Args:
            site: a site of the bank.
            center: whether to subtract the mean over the texts first.

        Raises:
            InvalidInputError: if a state is 0, up to rounding.
        """
        states = self.states[site]
        vectors = directions(states, states.mean(axis=0, dtype=np.float64) if center else None)
        undefined = np.isnan(vectors).any(axis=1)
        if undefined.any():
            raise InvalidInputError(
                f"Expected states that differ between texts, but that of "
                f"{self.texts[int(undefined.argmax())]!r} at {site} is "
                f"{'the mean of all texts' if center else '0'}. Leave this site out of the bank."
            )
        return vectors

    def __repr__(self) -> str:
        return (
            f"TextBank({len(self)} texts of {len(self.names)} concepts, {len(self.states)} sites, "
            f"{len(self.missing)} prompts without states)"
        )


def directions(states: States, mean: FloatArray | None) -> States:
    """Return states minus a mean, divided by their norms; NaN if they equal it up to rounding.

    Args:
        states: shape (n_states, width).
        mean: shape (width,); None to subtract nothing.
    """
    values = states.astype(np.float64)
    centred = values if mean is None else values - mean
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    is_defined = norms > _ROUNDING * np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(centred / np.where(is_defined, norms, np.nan), dtype=np.float32)


def _stacked(vectors: Sequence[States]) -> States:
    """Return vectors as an array of shape (n_vectors, width); (0, 0) if there are none."""
    return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

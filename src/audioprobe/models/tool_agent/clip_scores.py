"""Scores of an audio tagger for clips: limited to some labels, found by name, and stored."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from audioprobe.errors import InvalidInputError, NonFiniteError, did_you_mean
from audioprobe.protocols import FrameTagger, Tagger
from audioprobe.types import Float64Array, FloatArray, Waveform

_MAX_CLIPS = 256  # clips whose scores are stored
_ARTICLE = re.compile(r"^(?:an?|the|some)\s+")


class ClipScores:
    """Probabilities of a tagger's labels for clips, limited to some labels, and stored.

    Args:
        tagger: an encoder with tags, per clip and perhaps per frame.
        labels: labels to use; None uses the whole vocabulary of the tagger.

    Attributes:
        tagger: the tagger.
        labels: labels that are used; None means all.
        phrases: phrase of each label that is used.

    Raises:
        InvalidInputError: if the tagger does not have one of the labels, or no label is given.
    """

    def __init__(self, tagger: Tagger, labels: Sequence[str] | None = None) -> None:
        unknown = [label for label in labels or () if label not in tagger.labels]
        if unknown or (labels is not None and not labels):
            hint = did_you_mean(unknown[0], tagger.labels) if unknown else ""
            raise InvalidInputError(
                f"Expected labels of the tagger {tagger.info.name!r}, got "
                f"{unknown[0] if unknown else 'none'!r}.{hint}"
            )
        self.tagger = tagger
        self.labels = None if labels is None else tuple(dict.fromkeys(labels))
        names = tagger.labels if self.labels is None else self.labels
        self._columns = [tagger.labels.index(label) for label in names]
        self.phrases = tuple(tagger.phrases[n] for n in self._columns)
        self._by_name: dict[str, list[int]] = {}
        for n, (label, phrase) in enumerate(zip(names, self.phrases, strict=True)):
            for name in dict.fromkeys((_plain(label), _plain(phrase))):
                self._by_name.setdefault(name, []).append(n)
        self._stored: OrderedDict[tuple[str, str], FloatArray] = OrderedDict()

    def of_clip(self, waveform: Waveform) -> FloatArray:
        """Return the probability of each label, shape (n_labels,)."""
        return self._scores("clip", self.tagger.tag, waveform)

    def of_frames(self, waveform: Waveform) -> FloatArray:
        """Return the probability of each label in each frame, shape (n_frames, n_labels)."""
        assert isinstance(self.tagger, FrameTagger)  # noqa: S101 - ensured by tagger_tools
        return self._scores("frames", self.tagger.tag_frames, waveform)

    def frame_power(self, waveform: Waveform) -> Float64Array:
        """Return the mean squared sample of each frame, shape (n_frames,).

        Frame n contains the samples from `n * hop` to `(n + 1) * hop` seconds; the last frame
        reaches to the end. A frame after the end of the clip has a power of 0.
        """
        n_frames = len(self.of_frames(waveform))
        assert isinstance(self.tagger, FrameTagger)  # noqa: S101 - ensured by tagger_tools
        starts = np.round(np.arange(1, n_frames) * self.tagger.hop * waveform.sample_rate)
        parts = np.split(np.square(waveform.samples, dtype=np.float64), starts.astype(int))
        return np.array([part.mean() if part.size else 0.0 for part in parts])

    def columns_of(self, sound: str) -> list[int]:
        """Return the positions of the labels that a name stands for; case and article are ignored.

        Raises:
            InvalidInputError: if no label or phrase equals the name.
        """
        columns = self._by_name.get(_plain(sound))
        if columns is None:
            hint = did_you_mean(_plain(sound), self._by_name, 3)
            raise InvalidInputError(f"unknown sound {sound!r:.60}.{hint}")
        return columns

    def unique(self, columns: Iterable[int]) -> list[str]:
        """Return the phrases of labels, each once: two labels may have the same phrase."""
        return list(dict.fromkeys(self.phrases[n] for n in columns))

    def _scores(
        self,
        kind: str,
        compute: Callable[[Iterable[Waveform]], Iterator[FloatArray]],
        waveform: Waveform,
    ) -> FloatArray:
        key = (kind, waveform.digest())
        if key not in self._stored:
            (scores,) = compute([waveform])
            if not np.isfinite(scores).all():
                raise NonFiniteError(
                    f"Expected probabilities from the tagger {self.tagger.info.name!r}, got NaN or "
                    f"infinity. {NonFiniteError.ADVICE}"
                )
            self._stored[key] = scores[..., self._columns]
        self._stored.move_to_end(key)
        while len(self._stored) > _MAX_CLIPS:
            self._stored.popitem(last=False)
        return self._stored[key]


def _plain(name: str) -> str:
    """Return a name of a sound for comparisons: without case, article and final full stop."""
    return _ARTICLE.sub("", " ".join(name.casefold().replace("_", " ").split()).rstrip("."))

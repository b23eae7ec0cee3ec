"""Hallucinated events: sound sources that a caption names, but that the clip does not contain."""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.scorers.keyword import split_words
from audioprobe.texts import nfc
from audioprobe.types import Estimate

_NEGATIONS = frozenset({"no", "not", "without", "neither", "nor", "never"})
_NEGATION_SPAN = 3  # number of words before a name in which a negation counts
_SENTENCE = re.compile(r"[.!?;,]|\bbut\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HallucinatedEvents:
    """Events (concepts) that captions name although they are not labels of the clips.

    Attributes:
        of_mentions: share of the named events that are hallucinated, in [0, 1]; CHAIR-i of Rohrbach
            et al., "Object hallucination in image captioning", 2018.
        of_captions: share of the captions with a hallucinated event, in [0, 1]; CHAIR-s.
        by_clip: names of the hallucinated events, keyed by clip id; clips without any are left out.
        supported: names of the events that are labels, keyed by clip id.
        without_events: ids of clips whose caption names no event of the concepts.
        unknown_labels: labels that are neither concepts nor classes, keyed by clip id. Such clips
            are not in any share, because a name could mean the unknown label.
    """

    of_mentions: Estimate
    of_captions: Estimate
    by_clip: Mapping[str, tuple[str, ...]]
    supported: Mapping[str, tuple[str, ...]]
    without_events: tuple[str, ...]
    unknown_labels: Mapping[str, tuple[str, ...]]


def hallucinated_events(
    captions: Mapping[str, str],
    labels: Mapping[str, Sequence[str]],
    concepts: Concepts | None = None,
    *,
    bootstrap: Bootstrap | None = None,
    groups: Mapping[str, Hashable] | None = None,
) -> HallucinatedEvents:
    """Find the events that captions name although they are not among the labels of the clip.

    A caption names a concept by its name or a synonym, in singular or plural. The longest name
    counts: "church bell" is not also "bell". A named event is supported by a label that it equals,
    a label below it ("bird" for "crow") or above it: "crow" for "bird" is more specific than the
    label, which cannot be checked. Names after a negation ("no rain") are left out; other meanings
    of a word ("a stream of cars") are not recognised. Sounds that the annotators did not label
    count as hallucinated. Compare models on the same clips.

    Args:
        captions: captions of a model, keyed by clip id.
        labels: labels of each clip, keyed by clip id; () for a clip without any event.
        concepts: the concepts; None uses the shipped ones.
        bootstrap: settings of the confidence intervals; None uses the defaults.
        groups: group of each clip, such as its recording site, keyed by clip id.

    Raises:
        InvalidInputError: if no captioned clip has labels that are concepts or classes.
    """
    names = _Names(concepts or Concepts.shipped())
    references = {nfc(clip): tuple(map(nfc, of_clip)) for clip, of_clip in labels.items()}
    texts = {nfc(clip): text for clip, text in captions.items() if nfc(clip) in references}
    unknown = {
        clip: missing
        for clip in texts
        if (missing := tuple(x for x in references[clip] if names.exact(x) is None))
    }
    clips = [clip for clip in texts if clip not in unknown]
    if not clips:
        raise InvalidInputError(
            f"None of {len(texts)} captions with labels can be checked: expected labels that are "
            "names of concepts or of their classes, such as 'crow' or 'animal'. Rename the labels."
        )
    wrong, right = {}, {}
    for clip in clips:
        right[clip], wrong[clip] = names.compared(texts[clip], references[clip])
    resampling = bootstrap or Bootstrap()
    group_of = {nfc(clip): group for clip, group in (groups or {}).items()}
    of_clips = [group_of.get(clip, clip) for clip in clips] if groups else None
    n_wrong = [len(wrong[clip]) for clip in clips]
    n_named = [len(right[clip]) + n for clip, n in zip(clips, n_wrong, strict=True)]
    is_wrong = [float(n > 0) for n in n_wrong]
    return HallucinatedEvents(
        of_mentions=resampling.estimate(ratio(n_wrong, n_named), len(clips), groups=of_clips),
        of_captions=resampling.estimate(mean(is_wrong), len(clips), groups=of_clips),
        by_clip={clip: events for clip, events in wrong.items() if events},
        supported={clip: events for clip, events in right.items() if events},
        without_events=tuple(clip for clip, n in zip(clips, n_named, strict=True) if not n),
        unknown_labels=unknown,
    )


class _Names:
    """Names of concepts and classes, and which of them are above each other.

    An event is identified by the name of its concept or class, such as "crow" or "animal".
    """

    def __init__(self, concepts: Concepts) -> None:
        classes = {hypernym.name: hypernym.name for hypernym in concepts.hypernyms}
        names = {name: concept.name for concept in concepts for name in concept.names}
        self._events = {_key(name): event for name, event in (classes | names).items()}
        self._above = {
            concept.name: frozenset(hypernym.name for hypernym in concept.ancestors)
            for concept in concepts
        }
        # Classes that are not concepts, such as "sound" and "group", say nothing about the source.
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for name, event in names.items():
            self._by_first.setdefault(_key(name)[0], []).append((_key(name), event))

    def exact(self, label: str) -> str | None:
        """Return the event that a label names; None if it is not the name of one."""
        return self._events.get(_key(label))

    def compared(
        self, caption: str, labels: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the events that a caption names: those that a label supports, and the others."""
        known = {event for label in labels if (event := self.exact(label)) is not None}
        events = self.mentioned(caption)
        is_supported = {event: self.supported(event, known) for event in events}
        return (
            tuple(event for event in events if is_supported[event]),
            tuple(event for event in events if not is_supported[event]),
        )

    def mentioned(self, caption: str) -> tuple[str, ...]:
        """Return the events that a caption names without negation, each once, in order."""
        events: dict[str, None] = {}
        for part in _SENTENCE.split(caption):
            words = split_words(part)
            position = 0
            while position < len(words):
                match = self._longest(words[position:])
                if match is None:
                    position += 1
                    continue
                before = words[max(0, position - _NEGATION_SPAN) : position]
                if not any(forms & _NEGATIONS for forms in before):
                    events[match[1]] = None
                position += len(match[0])
        return tuple(events)

    def _longest(self, words: Sequence[frozenset[str]]) -> tuple[tuple[str, ...], str] | None:
        """Return the longest name with which the words begin, and its event."""
        candidates = [entry for form in words[0] for entry in self._by_first.get(form, ())]
        matching = [
            entry
            for entry in candidates
            if len(entry[0]) <= len(words)
            and all(word in forms for word, forms in zip(entry[0], words, strict=False))
        ]
        return max(matching, key=lambda entry: len(entry[0]), default=None)

    def supported(self, event: str, labels: set[str]) -> bool:
        """Return whether an event equals a label, or is above or below one."""
        above = self._above.get(event, frozenset())
        return any(
            event == label or event in self._above.get(label, ()) or label in above
            for label in labels
        )


def _key(name: str) -> tuple[str, ...]:
    return tuple(nfc(name).casefold().replace("_", " ").replace("-", " ").split())

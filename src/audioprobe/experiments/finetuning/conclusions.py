"""The open questions, answered in the words that intervals allow."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.experiments.finetuning.cross_modal_transfer import (
    CONTROL,
    HALVES,
    TransferArm,
    TransferResult,
)
from audioprobe.experiments.finetuning.paired_difference import Measure
from audioprobe.experiments.finetuning.significance_text import by_choice
from audioprobe.experiments.finetuning.strategy_summary import StrategySummary
from audioprobe.experiments.finetuning.study_results import StudySummary

_NOTHING_YET = "No training has ended that could tell."
_CHOICES = {"trained": "what trains", "holding": "what holds", "alignment": "what ties"}
_CLEARLY = {1: "clearly better", 0: "not told apart", -1: "clearly worse"}
_WHOSE = {
    "in pairs": "concepts that pairs were about",
    "others of these families": "others of their families",
    "other families": "other families",
}
_FORGOTTEN: tuple[Measure, ...] = (
    "loss of text",
    "accuracy in words",
    "earlier AUC",
    "accuracy in sound",
)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A question with its answer.

    Attributes:
        question: as the study asks it.
        answer: in words, no stronger than intervals and corrected tests allow.
        evidence: the numbers behind it.
        points: what each choice does to it, a sentence each, with the evidence.
    """

    question: str
    answer: str
    evidence: str
    points: tuple[tuple[str, str], ...] = ()

    def to_markdown(self) -> str:
        """Without the evidence; ends with a line break."""
        points = "".join(f"\n- {point}" for point, _ in self.points)
        return f"**{self.question}** {self.answer}\n" + (f"{points}\n" if points else "")


def conclusions(found: StudySummary) -> tuple[Conclusion, ...]:
    """All of them; one that nothing speaks to yet says so."""
    return (
        _gained(found),
        _forgotten(found),
        _general(found),
        _aligned(found),
        _carried(found.transfer),
    )


def _gained(found: StudySummary) -> Conclusion:
    question = "What is gained by fine-tuning?"
    if not found.tried:
        return Conclusion(question, _NOTHING_YET, "")
    better = _clear(found.tried, "inside AUC", above=True)
    worse = _clear(found.tried, "inside AUC", above=False)
    spread = _clear(found.tried, "outside AUC", above=True)
    answer = (
        f"On other sounds of the origin that was taught, {len(better)} of {len(found.tried)} "
        f"strategies name better than before, and {len(worse)} worse; the others are not told "
        f"apart from no change. On sounds of another origin, {len(spread)} name better."
    )
    points = _points(found, ("inside AUC",), ("trained",))
    return Conclusion(question, answer, _best(found.tried, "inside AUC"), points)


def _forgotten(found: StudySummary) -> Conclusion:
    question = "What causes forgetting, and what holds it?"
    if not found.tried:
        return Conclusion(question, _NOTHING_YET, "")
    anew = [one for one in found.tried if one.reads_anew]
    worse = _clear(anew, "loss of text", above=True)
    better = _clear(anew, "loss of text", above=False)
    words, earlier, sound = (
        len(_clear(found.tried, measure, above=False)) for measure in _FORGOTTEN[1:]
    )
    answer = (
        f"{len(worse)} of {len(anew)} strategies that train the language model read text worse "
        f"than the model before, and {len(better)} better; {words} answer worse about words. "
        f"{len(found.tried) - len(anew)} others leave both as they are, and cannot do otherwise. "
        f"Of all {len(found.tried)}, {earlier} name sounds of the kind known before worse, and "
        f"{sound} answer worse about sound."
    )
    points = _points(found, _FORGOTTEN, ("trained", "holding"))
    links = [link for link in found.links if link.measure == "loss of text"]
    moved = "; ".join(f"{link.moved}: rho {link.rho}" for link in links) or "no drift to compare"
    return Conclusion(question, answer, f"Loss of text goes with drift: {moved}.", points)


def _general(found: StudySummary) -> Conclusion:
    question = "Does sound stay behind words, whatever is trained?"
    gaps = [(one, one.levels.get("words minus sound")) for one in found.tried]
    known = [(one, gap) for one, gap in gaps if gap is not None and gap.value is not None]
    if not known:
        return Conclusion(question, _NOTHING_YET, "")
    behind = [one for one, gap in known if gap.low is not None and gap.low > 0]
    closed = _clear(found.tried, "words minus sound", above=False)
    dumber = _clear(found.tried, "accuracy in words", above=False)
    repaired = [one for one in closed if one not in dumber]
    narrowed = (
        f"{len(closed)} narrow the gap, {len(repaired)} of them without worse answers to words."
        if closed
        else "None narrows the gap."
    )
    smallest, least = min(known, key=lambda item: item[1].value or 0.0)
    answer = (
        f"In {len(behind)} of {len(known)} strategies sound is clearly answered worse than words "
        f"about the same classes. {narrowed} This is one model of one size."
    )
    before = found.before["words minus sound"]
    return Conclusion(
        question, answer, f"Gap before {before}; smallest after: {least} ({smallest.name})."
    )


def _aligned(found: StudySummary) -> Conclusion:
    question = "Which tie of sound and text repairs it?"
    measures: tuple[Measure, ...] = ("accuracy in sound", "inside AUC")
    points = _points(found, measures, ("alignment",))
    if not points:
        return Conclusion(question, "Only one tie was tried, or none.", "")
    told = [by_choice(found, measure, "alignment") for measure in measures]
    sound, naming = (", ".join(one.raising if one else ()) or "none of those tried" for one in told)
    answer = f"Answers about sound are clearly better with {sound}, and naming with {naming}."
    return Conclusion(question, answer, "", points + _beyond_pairs(found))


def _beyond_pairs(found: StudySummary) -> tuple[tuple[str, str], ...]:
    """What pairs about some concepts do for the sound of these and of others."""
    told = [one for one in found.heldout if one.asked == "sound"]
    points = []
    for name in dict.fromkeys((one.trained, one.holding, one.alignment) for one in told):
        own = [one for one in told if (one.trained, one.holding, one.alignment) == name]
        parts = [f"{_CLEARLY[one.direction]} for {_WHOSE[one.concepts]}" for one in own]
        than = "without a tie" if own[0].beyond is not None else "before"
        evidence = "; ".join(f"{one.concepts}: {one.told.estimate}" for one in own)
        start = f"Accuracy in sound with {name[2]} ({name[0]}, {name[1]}) against that {than}"
        points.append((f"{start}: {', '.join(parts)}.", evidence))
    return tuple(points)


def _carried(found: TransferResult | None) -> Conclusion:
    question = "Does what is taught in words arrive in sound, and the other way round?"
    if found is None:
        return Conclusion(question, _NOTHING_YET, "")
    words = [c for c in found.carried if c.arm == "words"]
    sound = [c for c in found.carried if c.arm == "sound"]
    both = [c for c in found.carried if c.arm == "words+sound"]
    parts = [
        f"Taught in words alone, new classes are then known in words {_known(words, 'words')}, and "
        f"in sound {_known(words, 'sound')}.",
        "Taught in sound of half of the concepts, they are known in sound of that half "
        f"{_known(sound, 'sound', HALVES[0])}, in sound of the other half "
        f"{_known(sound, 'sound', HALVES[1])}, and in words {_known(sound, 'words')}.",
        "Taught in both, they are known in sound of the half of which words alone were taught "
        f"{_known(both, 'sound', HALVES[1])}.",
    ]
    evidence = "; ".join(
        f"{c.arm}, asked in {c.asked}, {c.half}: {c.accuracy}, change {c.change.estimate}, beyond "
        f"the control {c.beyond.estimate if c.beyond is not None else '–'}"
        for c in found.carried
        if c.arm != CONTROL
    )
    return Conclusion(question, " ".join(parts), evidence)


def _known(some: Sequence[TransferArm], asked: str, half: str = "") -> str:
    """Whether it is above the same before and above the control: whole intervals, every seed."""
    own = [c for c in some if c.asked == asked and half in ("", c.half)]
    if not own:
        return "(not tried)"
    clear = [c for c in own if all(d.direction > 0 for d in (c.change, c.beyond) if d is not None)]
    if len(clear) == len(own):
        return "clearly"
    return "(of one half) clearly" if clear else "not clearly"


def _points(
    found: StudySummary, measures: Sequence[Measure], factors: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """What each factor does to each measure, of those that something speaks to."""
    points = []
    for measure in measures:
        for factor in factors:
            told = by_choice(found, measure, factor)
            if told is not None:
                start = f"{measure[0].upper()}{measure[1:]}, by {_CHOICES[factor]}"
                points.append((f"{start}: {told}.", told.evidence))
    return tuple(points)


def _clear(
    tried: Sequence[StrategySummary], measure: Measure, *, above: bool
) -> list[StrategySummary]:
    """Strategies whose change has its whole interval, and every seed, on one side of 0."""
    return [one for one in tried if one.changes[measure].direction == (1 if above else -1)]


def _best(tried: Sequence[StrategySummary], measure: Measure) -> str:
    known = [one for one in tried if one.changes[measure].estimate.value is not None]
    if not known:
        return ""

    def value(one: StrategySummary) -> float:
        return one.changes[measure].estimate.value or 0.0

    top, low = max(known, key=value), min(known, key=value)
    return (
        f"{measure}: most by {top.name}, {top.changes[measure].estimate}; least by {low.name}, "
        f"{low.changes[measure].estimate}."
    )

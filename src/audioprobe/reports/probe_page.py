"""The page of a probe: conditions, ladders, words against sound, and every trial with its sound."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from audioprobe.io.text_table import Table
from audioprobe.probing.modality_gap import ModalityGap
from audioprobe.probing.questions import Condition
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.scores import HEADER, without_counts
from audioprobe.probing.trial import READINGS, AnswerReading, count_failures
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.figures import ForestRow, forest, steps, to_svg
from audioprobe.reports.html import DataGrid, Drawing, Item, Page, Section, write_page
from audioprobe.reports.probe_items import sound_cards, trial_grid
from audioprobe.types import Clip

CONTROLS = ("wrong clip", "silence", "noise", "no audio")
"""Conditions without the right sound, which are drawn apart."""


def write_probe_page(
    outcome: ProbeOutcome,
    path: str | Path,
    *,
    embed: bool = False,
    clips: Mapping[str, Clip] = MappingProxyType({}),
) -> Path:
    """Write the page of a probe as one HTML file (extra `report`).

    Args:
        outcome: outcome of the probe.
        path: path of the page.
        embed: put the sounds into the page, instead of links.
        clips: clips by id; sounds in memory can only be played if they are given here.

    Returns:
        The path.
    """
    path = Path(path)
    return write_page(probe_page(outcome, path.parent, embed=embed, clips=clips), path)


def probe_page(
    outcome: ProbeOutcome,
    folder: Path,
    *,
    embed: bool = False,
    clips: Mapping[str, Clip] = MappingProxyType({}),
) -> Page:
    """All sections; those without anything to show are left out.

    Args:
        outcome: of a probe.
        folder: of the page; sounds are linked to from there.
        embed: put the sounds into the page, instead of links.
        clips: by id, where they are at hand; sounds in memory can be heard only with these.
    """
    found = outcome.diagnosis()
    model = outcome.provenance.components["language_model"]
    n_calls = sum(outcome.n_calls.values())
    lead = (
        f"{model.name}: {found.name}. It was asked {len(outcome.trials)} questions, by {n_calls} "
        f"prompts; answers are read by {outcome.reading}."
    )
    lead += "".join(f" {note[:1].upper()}{note[1:]}." for note in outcome.notes())
    cards = sound_cards(outcome, AudioClips(folder, embed=embed), clips)
    sections = [
        Section("Conditions", [*_conditions(outcome), _grid(outcome)], _BASIS),
        Section("Ways to read an answer", _readings(outcome), _READINGS),
        Section("Words against sound", _gaps(outcome), _GAP),
        Section("Levels and concepts", _parts(outcome)),
        Section("The ladder", _ladders(outcome), _LADDER),
        Section("Wordings", _wordings(outcome), _WORDINGS),
        Section("Every trial", [*cards, trial_grid(outcome)]),
        Section("What is missing", _missing(outcome)),
        Section("How it was made", [_made(outcome)]),
    ]
    shown = [section for section in sections if section.items]
    return Page(f"Concept probe: {model.name}", f"{lead} Grounds: {found.evidence}.", shown)


def _conditions(outcome: ProbeOutcome) -> list[Item]:
    items: list[Item] = []
    for form in dict.fromkeys(trial.question.form for trial in outcome.trials):
        rows = [
            ForestRow(
                f"{relation}, {condition}", without_counts(score.accuracy), condition in CONTROLS
            )
            for (relation, condition), score in outcome.by(
                "relation", "condition", form=form
            ).items()
        ]
        caption = f"Accuracy, {form}; the line is chance, diamonds are controls."
        drawing = forest(rows, "accuracy", 0.25 if form == "choice" else 0.5)
        items.append(Drawing(to_svg(drawing, caption), caption))
    return items


def _grid(outcome: ProbeOutcome) -> DataGrid:
    return DataGrid("In numbers", outcome.table("relation", "condition", "form"), True)


def _readings(outcome: ProbeOutcome) -> list[Item]:
    """The same trials in every way to read them; nothing where one is all."""
    names = ("relation", "condition", "form")
    readings: list[AnswerReading] = [
        r for r in READINGS if r != "judge" or "judge" in outcome.provenance.components
    ]
    found = {reading: outcome.by(*names, reading=reading) for reading in readings}
    rows = tuple(
        (reading, *map(str, key), *score.cells())
        for reading, scores in found.items()
        for key, score in scores.items()
        if score.n_trials
    )
    if len({row[0] for row in rows}) < 2:
        return []
    n = 1 + len(names)
    table = Table(("read by", *names, *HEADER), rows, tuple(range(n, n + len(HEADER))))
    return [DataGrid("Every way", table, True, False)]


def _gaps(outcome: ProbeOutcome) -> list[Item]:
    gaps = [
        outcome.modality_gap(first="text", second=condition)
        for condition in outcome.conditions
        if condition != "text"
    ]
    if "audio" in outcome.conditions:
        gaps += [
            outcome.modality_gap(first="audio", second=condition)
            for condition in outcome.conditions
            if condition in ("wrong clip", "caption")
        ]
    told = [one for one in gaps if one.mcnemar is not None]
    if not told:
        return []
    caption = "Accuracy under the first condition minus accuracy under the second, same questions."
    rows = [
        ForestRow(f"{g.first} minus {g.second}", g.difference, g.second in CONTROLS) for g in told
    ]
    items: list[Item] = [Drawing(to_svg(forest(rows, "difference"), caption), caption)]
    items.append(DataGrid("In numbers", _gap_table(told)))
    items += _conditional(outcome)
    items += [_contingency(g) for g in told if (g.first, g.second) == ("text", "audio")]
    return items


def _conditional(outcome: ProbeOutcome) -> list[Item]:
    """Classes and names in sound, by whether the concept of the clip was recognised."""
    found = outcome.table("relation", "recognised", condition="audio", form="yes-no")
    rows = tuple(row for row in found.rows if row[0] != "identity")
    names = ("relation", "recognised", *HEADER)
    table = Table(names, rows, tuple(range(2, len(names))))
    return [DataGrid("In sound, by whether the concept was recognised", table)] if rows else []


def _contingency(gap: ModalityGap) -> DataGrid:
    """The same questions, right or wrong under both conditions."""
    both, first, second, neither = map(str, gap.contingency)
    header = ("trials", f"{gap.second} right", f"{gap.second} wrong")
    rows = ((f"{gap.first} right", both, first), (f"{gap.first} wrong", second, neither))
    return DataGrid(f"{gap.first.capitalize()} by {gap.second}", Table(header, rows, (1, 2)))


def _gap_table(gaps: Sequence[ModalityGap]) -> Table:
    header = (
        "conditions",
        "difference",
        "of it perception",
        "of it reasoning",
        "of it unknown",
        "p, concepts",
        "p, McNemar",
        "both right",
        "only the first",
        "only the second",
        "neither",
        "without partner",
    )
    rows = tuple(
        (
            f"{g.first} minus {g.second}",
            str(g.difference),
            str(g.perception),
            str(g.reasoning),
            str(g.unknown),
            *(
                "–" if test is None or test.p_value is None else f"{test.p_value:.3g}"
                for test in (g.permutation, g.mcnemar)
            ),
            *map(str, g.contingency),
            str(g.n_unpaired),
        )
        for g in gaps
    )
    return Table(header, rows, tuple(range(5, len(header))))


def _parts(outcome: ProbeOutcome) -> list[Item]:
    names: list[tuple[str, ...]] = [
        ("relation", "level", "condition"),
        ("condition", "concept"),
        ("condition", "target"),
        ("relation", "negatives", "condition"),
    ]
    if outcome.familiar:
        names.append(("relation", "familiar", "condition"))
    if "audio" in outcome.conditions:
        names.append(("relation", "recognised", "condition"))
    return [
        DataGrid(f"By {', '.join(some)}", outcome.table(*some, form="yes-no"), True, n == 0)
        for n, some in enumerate(names)
    ]


def _ladders(outcome: ProbeOutcome) -> list[Item]:
    drawings = [
        _climbs(outcome, condition)
        for condition in outcome.conditions
        if condition in ("text", "audio") and outcome.hypernym_chains(condition)
    ]
    rows = tuple(
        (
            climb.concept,
            climb.condition,
            ", ".join(
                f"{rung} {share:.0%}"
                for rung, share in zip(climb.levels, climb.yes_rates, strict=True)
            ),
            f"{climb.depth} of {len(climb.levels)}",
            str(climb.contradictions),
        )
        for condition in outcome.conditions
        if condition in ("text", "audio", "caption")
        for climb in outcome.hypernym_chains(condition)
    )
    header = ("concept", "condition", "yes, from below", "followed up to", "contradictions")
    return [*drawings, DataGrid("Every concept", Table(header, rows, (3, 4)), True)] if rows else []


def _climbs(outcome: ProbeOutcome, condition: Condition) -> Drawing:
    climbs = outcome.hypernym_chains(condition)
    cells = {c.concept: list(zip(c.levels, c.yes_rates, strict=True)) for c in climbs}
    caption = f"Share of “yes” from each concept upwards, {condition}."
    return Drawing(to_svg(steps(cells, "share of “yes”"), caption), caption)


def _wordings(outcome: ProbeOutcome) -> list[Item]:
    rows = []
    for condition in outcome.conditions:
        found = outcome.consistency(condition)
        shares = (found.between_concepts, found.between_wordings)
        told = ("–" if share is None else f"{share:.1%}" for share in shares)
        rows.append((condition, str(found.agreement), *told, str(found.n)))
    header = (
        "condition",
        "all wordings agree",
        "variance between concepts",
        "between wordings",
        "n",
    )
    tables = [DataGrid("Paraphrases", Table(header, tuple(rows), (2, 3, 4)))]
    return [
        *tables,
        DataGrid("By wording", outcome.table("relation", "form", "wording"), True, False),
    ]


def _missing(outcome: ProbeOutcome) -> list[Item]:
    tables = {
        "Failures": Table(
            ("cause", "trials"),
            tuple((cause, str(n)) for cause, n in count_failures(outcome.trials).items()),
            (1,),
        ),
        "Right pairs without a wrong one, not asked": Table(
            ("concept", "target", "negatives"), outcome.unmatched
        ),
        "Clips of no concept, or of several": Table(
            ("clip", "names"), tuple(outcome.unassigned.items())
        ),
        "Clips that were not heard to their end": Table(
            ("clip", "seconds not heard"),
            tuple((clip, f"{seconds:.3f}") for clip, seconds in outcome.seconds_cut.items()),
            (1,),
        ),
        "Clips that were not asked about": Table(
            ("clip", "reason"), tuple(outcome.unused_clips.items())
        ),
        "Concepts without clips": Table(("concept",), tuple((c,) for c in outcome.without_clips)),
    }
    return [DataGrid(name, table, True, False) for name, table in tables.items() if table.rows]


def _made(outcome: ProbeOutcome) -> DataGrid:
    made = outcome.provenance
    rows = [
        (role, f"{info.name} {info.revision}".strip()) for role, info in made.components.items()
    ]
    rows += [(name, str(value)) for name, value in made.options.items()]
    rows += [(f"prompts: {what}", str(n)) for what, n in outcome.n_calls.items()]
    rows += [
        (f"clips that {model} was trained on", f"{len(clips)} of {len(outcome.clips)}")
        for model, clips in made.training_clips.items()
    ]
    rows += [("seed", str(made.seed)), ("data (SHA-256)", made.data), *made.versions.items()]
    return DataGrid("Components and options", Table(("what", "value"), tuple(rows)), False, False)


_BASIS = (
    "Every right pair has a wrong one for the same target, so that a yes-sayer and a guesser who "
    "knows base rates are right half of the time. Intervals resample concepts. Accuracy is among "
    "answers that could be read; unread and failed ones are counted at the right."
)
_READINGS = (
    "Free text is read by rules. Likelihood takes the more probable option. Calibrated takes the "
    "one that gains most by the sound, against the same question without any. A judge is "
    "a language model that reads the free text."
)
_GAP = (
    "A difference is split by whether the concept of the clip was recognised: what is lost where "
    "it was not is perception, what is lost where it was is reasoning. The parts add up, so each "
    "grows with its number of clips, too; a table below has the rates."
)
_LADDER = "Share of “yes” for the concept itself and each class above it, in right pairs."
_WORDINGS = "Whether all wordings of a question get the same answer, and where answers differ."

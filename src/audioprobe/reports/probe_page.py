"""Report page of a probe: accuracies by condition, the modality gap, and all questions."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from audioprobe.io.text_table import Table
from audioprobe.plots.figures import forest, steps, to_svg
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import READINGS, count_failures
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.html import DataGrid, Drawing, Item, Page, Section, write_page
from audioprobe.reports.probe_items import (
    clip_cards,
    forest_row,
    gap_items,
    score_table,
    trial_grid,
)
from audioprobe.types import Clip


def write_probe_page(
    outcome: ProbeOutcome,
    path: str | Path,
    *,
    embed: bool = False,
    clips: Mapping[str, Clip] = MappingProxyType({}),
) -> Path:
    """Write the report page of a probe as one HTML file (extra `report`).

    Args:
        outcome: outcome of the probe.
        path: path of the page.
        embed: put the sounds into the page, instead of links.
        clips: clips by id; a sound in memory can only be played if it is among them.

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
    """Return the report page of a probe; sections without content are omitted.

    Args:
        outcome: outcome of the probe.
        folder: folder of the page; links to audio files are relative to this folder.
        embed: put the sounds into the page, instead of links.
        clips: clips by id; a sound in memory can only be played if it is among them.
    """
    diagnosis = outcome.diagnosis()
    model = outcome.provenance.components["language_model"].name
    sentences = [
        f"{model}: {diagnosis.name}",
        f"{len(outcome.trials)} questions, {sum(outcome.n_calls.values())} prompts; answers are "
        f"read by {outcome.reading}",
        *(f"{note[:1].upper()}{note[1:]}" for note in outcome.notes()),
        f"Evidence: {diagnosis.evidence}",
    ]
    by_condition = DataGrid("Numbers", outcome.table("relation", "condition", "form"), True)
    cards = clip_cards(outcome, AudioClips(folder, embed=embed), clips)
    sections = [
        Section("Conditions", [*_forests(outcome), by_condition], _CONDITIONS),
        Section("Readings of the answers", _readings(outcome), _READINGS),
        Section("Modality gap", gap_items(outcome), _GAPS),
        Section("Levels and concepts", _groups(outcome)),
        Section("Hypernym chains", _chains(outcome), _CHAINS),
        Section("Wordings", _wordings(outcome), _WORDINGS),
        Section("Trials", [*cards, trial_grid(outcome)]),
        Section("Missing data", _missing(outcome)),
        Section("Provenance", [_provenance(outcome)]),
    ]
    shown = [section for section in sections if section.items]
    return Page(f"Concept probe: {model}", " ".join(f"{text}." for text in sentences), shown)


def _forests(outcome: ProbeOutcome) -> list[Item]:
    items: list[Item] = []
    for form in dict.fromkeys(trial.question.form for trial in outcome.trials):
        scores = outcome.by("relation", "condition", form=form)
        rows = [
            forest_row(f"{relation}, {condition}", score.accuracy, condition)
            for (relation, condition), score in scores.items()
        ]
        caption = f"Accuracy, {form}; the line is chance, diamonds are controls."
        figure = forest(rows, "accuracy", 0.25 if form == "choice" else 0.5)
        items.append(Drawing(to_svg(figure, caption), caption))
    return items


def _readings(outcome: ProbeOutcome) -> list[Item]:
    """Return a table of the scores for each reading; [] if only one reading is available.

    A reading is a way to turn an answer into an option, such as "likelihood".
    """
    dimensions = ("relation", "condition", "form")
    has_judge = "judge" in outcome.provenance.components
    rows = tuple(
        (reading, *map(str, key), *score.cells())
        for reading in READINGS
        if reading != "judge" or has_judge
        for key, score in outcome.by(*dimensions, reading=reading).items()
        if score.n_trials
    )
    if len({row[0] for row in rows}) < 2:
        return []
    return [DataGrid("All readings", score_table(("reading", *dimensions), rows), True, False)]


def _groups(outcome: ProbeOutcome) -> list[Item]:
    groups: list[tuple[str, ...]] = [
        ("relation", "level", "condition"),
        ("condition", "concept"),
        ("condition", "target"),
        ("relation", "negatives", "condition"),
    ]
    if outcome.familiar:
        groups.append(("relation", "familiar", "condition"))
    if "audio" in outcome.conditions:
        groups.append(("relation", "recognised", "condition"))
    return [
        DataGrid(f"By {', '.join(names)}", outcome.table(*names, form="yes-no"), True, n == 0)
        for n, names in enumerate(groups)
    ]


def _chains(outcome: ProbeOutcome) -> list[Item]:
    chains = {
        condition: outcome.hypernym_chains(condition)
        for condition in outcome.conditions
        if condition in ("text", "audio", "caption")
    }
    rows = tuple(
        (
            chain.concept,
            chain.condition,
            ", ".join(
                f"{level} {rate:.0%}"
                for level, rate in zip(chain.levels, chain.yes_rates, strict=True)
            ),
            f"{chain.depth} of {len(chain.levels)}",
            str(chain.contradictions),
        )
        for of_condition in chains.values()
        for chain in of_condition
    )
    if not rows:
        return []
    items: list[Item] = []
    for condition, of_condition in chains.items():
        if of_condition and condition != "caption":
            rates = {c.concept: list(zip(c.levels, c.yes_rates, strict=True)) for c in of_condition}
            caption = f"Share of “yes” from each concept upwards, {condition}."
            items.append(Drawing(to_svg(steps(rates, "share of “yes”"), caption), caption))
    header = ("concept", "condition", "yes, from the concept upwards", "depth", "contradictions")
    return [*items, DataGrid("All concepts", Table(header, rows, (3, 4)), True)]


def _wordings(outcome: ProbeOutcome) -> list[Item]:
    header = (
        "condition",
        "all wordings agree",
        "variance between concepts",
        "between wordings",
        "n",
    )
    rows = []
    for condition in outcome.conditions:
        result = outcome.consistency(condition)
        shares = (result.between_concepts, result.between_wordings)
        cells = ("–" if share is None else f"{share:.1%}" for share in shares)
        rows.append((condition, str(result.agreement), *cells, str(result.n)))
    by_wording = outcome.table("relation", "form", "wording")
    return [
        DataGrid("Paraphrases", Table(header, tuple(rows), (2, 3, 4))),
        DataGrid("By wording", by_wording, True, False),
    ]


def _missing(outcome: ProbeOutcome) -> list[Item]:
    failures = count_failures(outcome.trials)
    cut = outcome.seconds_cut
    tables = {
        "Failures": Table(
            ("cause", "trials"), tuple((c, str(n)) for c, n in failures.items()), (1,)
        ),
        "True pairs without a false pair, not asked": Table(
            ("concept", "target", "negatives"), outcome.unmatched
        ),
        "Clips of no concept, or of several": Table(
            ("clip", "names"), tuple(outcome.unassigned.items())
        ),
        "Clips that were not played to their end": Table(
            ("clip", "seconds left out"), tuple((clip, f"{s:.3f}") for clip, s in cut.items()), (1,)
        ),
        "Clips without a question": Table(("clip", "reason"), tuple(outcome.unused_clips.items())),
        "Concepts without clips": Table(("concept",), tuple((c,) for c in outcome.without_clips)),
    }
    return [DataGrid(name, table, True, False) for name, table in tables.items() if table.rows]


def _provenance(outcome: ProbeOutcome) -> DataGrid:
    provenance = outcome.provenance
    rows = [
        (role, f"{info.name} {info.revision}".strip())
        for role, info in provenance.components.items()
    ]
    rows += [(name, str(value)) for name, value in provenance.options.items()]
    rows += [(f"prompts: {stage}", str(n)) for stage, n in outcome.n_calls.items()]
    rows += [
        (f"clips that {model} was trained on", f"{len(clips)} of {len(outcome.clips)}")
        for model, clips in provenance.training_clips.items()
    ]
    rows += [("seed", str(provenance.seed)), ("data (SHA-256)", provenance.data)]
    rows += provenance.versions.items()
    table = Table(("name", "value"), tuple(rows))
    return DataGrid("Components and options", table, False, False)


_CONDITIONS = (
    "Every true pair has a false pair for the same target, so that always saying yes and guessing "
    "from base rates are correct half of the time. Intervals resample concepts. Accuracy is among "
    "valid answers; invalid and failed ones are counted in columns of their own."
)
_READINGS = (
    "Free-text responses are parsed by rules. Likelihood takes the more probable option. "
    "Prior-corrected takes the option whose log-probability rises most with the audio, compared "
    "with the same question without audio. A judge is a language model that reads the response."
)
_GAPS = (
    "The difference is split by whether the concept of the clip was recognised: perception is the "
    "part from clips where it was not, reasoning the part from clips where it was. The parts add "
    "up, so each also grows with its number of clips; a table below has the rates."
)
_CHAINS = "Share of “yes” for the concept itself and each class above it, in true pairs."
_WORDINGS = "Whether all wordings of a question get the same answer, and where correctness varies."

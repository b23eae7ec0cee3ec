"""Report page of a probe: accuracies by condition, the modality gap, and all questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from audioprobe.io.text_table import Table
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import READINGS, count_failures
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.charts import Chart
from audioprobe.reports.estimate_charts import forest
from audioprobe.reports.heat_maps import steps
from audioprobe.reports.html import DataGrid, Item, Page, Section, write_page
from audioprobe.reports.probe_items import (
    counts_sentence,
    diagnosis_sentence,
    gap_items,
    gap_sentence,
    interval_row,
    score_table,
)
from audioprobe.reports.probe_samples import NamedOutcome, probe_browser
from audioprobe.reports.provenance import (
    component_text,
    created_text,
    provenance_section,
)
from audioprobe.types import Clip


def write_probe_page(
    outcome: ProbeOutcome,
    path: str | Path,
    *,
    embed: bool = False,
    clips: Mapping[str, Clip] = MappingProxyType({}),
    command: str = "Python: audioprobe.ConceptProbe",
    files: Sequence[str] = (),
) -> Path:
    """Write the report page of a probe as one HTML file (extra `report`).

    Args:
        outcome: outcome of the probe.
        path: path of the page.
        embed: put the sounds into the page, instead of links.
        clips: clips by id; a sound in memory can only be played if it is among them.
        command: command that made the outcome.
        files: names of files with results in the folder of the page.

    Returns:
        The path.
    """
    path = Path(path)
    page = probe_page(outcome, path.parent, embed=embed, clips=clips, command=command, files=files)
    return write_page(page, path)


def probe_page(
    outcome: ProbeOutcome,
    folder: Path,
    *,
    embed: bool = False,
    clips: Mapping[str, Clip] = MappingProxyType({}),
    command: str = "Python: audioprobe.ConceptProbe",
    files: Sequence[str] = (),
) -> Page:
    """Return the report page of a probe; sections without content are omitted.

    Args:
        outcome: outcome of the probe.
        folder: folder of the page; links to audio files are relative to this folder.
        embed: put the sounds into the page, instead of links.
        clips: clips by id; a sound in memory can only be played if it is among them.
        command: command that made the outcome.
        files: names of files with results in the folder of the page.
    """
    model = outcome.provenance.components["language_model"]
    forests = _forests(outcome)
    by_condition = DataGrid("All scores", outcome.table("relation", "condition", "form"), True)
    browser = probe_browser(
        [NamedOutcome(outcome, clips=clips)],
        AudioClips(folder, embed=embed),
        "the stored outcome (`to_parquet` writes all trials)",
    )
    sections = [
        Section("Conditions", [*forests[1:], by_condition], _CONDITIONS),
        Section("Samples", [browser], _SAMPLES),
        Section("Modality gap", gap_items(outcome), _GAPS),
        Section("Readings of the answers", _readings(outcome), _READINGS),
        Section("Levels and concepts", _groups(outcome)),
        Section("Hypernym chains", _chains(outcome), _CHAINS),
        Section("Wordings", _wordings(outcome), _WORDINGS),
        Section("Missing data", _missing(outcome)),
        provenance_section(
            {model.name: outcome.provenance},
            command=command,
            files=files,
            more=[(f"prompts: {stage}", str(n)) for stage, n in outcome.n_calls.items()],
        ),
    ]
    return Page(
        title=f"Concept probe: {model.name}",
        facts=_facts(outcome, command),
        findings=_findings(outcome),
        notes=[f"{note[:1].upper()}{note[1:]}." for note in outcome.notes()],
        chart=forests[0] if forests else None,
        sections=[section for section in sections if section.items],
    )


def _facts(outcome: ProbeOutcome, command: str) -> list[tuple[str, str]]:
    """Return the facts of the page: questions, model, data, date and command."""
    questions = [trial.question for trial in outcome.trials]
    relations = ", ".join(dict.fromkeys(question.pair.relation for question in questions))
    n_concepts = len({question.pair.concept for question in questions})
    example = f", such as “{questions[0].text}”" if questions else ""
    question_text = f"{len(questions)} questions about {n_concepts} concepts ({relations}){example}"
    clips = f"{len(outcome.clips)} clips of {len({c.concept for c in outcome.clips.values()})}"
    return [
        ("Asked", question_text),
        ("Model", component_text(outcome.provenance.components["language_model"])),
        ("Data", f"{clips} concepts; intervals resample concepts"),
        ("Conditions", ", ".join(outcome.conditions)),
        ("Date", created_text([outcome.provenance.created])),
        ("Command", command),
    ]


def _findings(outcome: ProbeOutcome) -> list[str]:
    diagnosis = outcome.diagnosis()
    sentences = [
        diagnosis_sentence(outcome, "Diagnosis"),
        gap_sentence(outcome.modality_gap()),
        gap_sentence(outcome.audio_reliance()),
        f"Evidence for the diagnosis: {diagnosis.evidence}; answers are read by {outcome.reading}.",
        counts_sentence([outcome]),
    ]
    return [f"{sentence[0].upper()}{sentence[1:]}" for sentence in sentences if sentence]


def _forests(outcome: ProbeOutcome) -> list[Chart]:
    charts = []
    for form in dict.fromkeys(trial.question.form for trial in outcome.trials):
        scores = outcome.by("relation", "condition", form=form)
        rows = [
            interval_row(f"{relation}, {condition}", score.accuracy, condition)
            for (relation, condition), score in scores.items()
        ]
        caption = (
            f"Accuracy of {form} questions by relation and condition. The dashed line is chance; "
            "diamonds are controls, in which the clip of the concept is not played."
        )
        chance = 0.25 if form == "choice" else 0.5
        charts.append(forest(rows, "accuracy", caption, reference=chance))
    return charts


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
            items.append(steps(rates, "share of “yes”", caption))
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


_CONDITIONS = (
    "Every true pair has a false pair for the same target, so that always saying yes and guessing "
    "from base rates are correct half of the time. Intervals resample concepts. Accuracy is among "
    "valid answers; invalid and failed ones are counted in columns of their own."
)
_SAMPLES = (
    "Every question with its answers. Choose a second condition to see two answers to the same "
    "question side by side; questions in text are next to the same questions about each clip. "
    "Spectrograms have a range of 70 dB; frequencies are linear."
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

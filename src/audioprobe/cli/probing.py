"""The command that asks a model about concepts, in words and in sound."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app
from audioprobe.tables import printable
from audioprobe.terminal import stage_bars, terminal_width, write

if TYPE_CHECKING:
    from audioprobe.probes.concept_probe import ConceptProbe
    from audioprobe.probes.outcome import ProbeOutcome
    from audioprobe.protocols import LanguageModel

SHIPPED = "shipped"
_SHOWN = 20  # questions of a dry run


@app.command
def probe(
    *,
    model: Annotated[str, Parameter(help="Name as `audioprobe backends` lists it.")] = "ltu:mini",
    pairs: Annotated[
        str, Parameter(help="What to ask for: hypernym, synonym, or both with a comma.")
    ] = "hypernym",
    clips: Annotated[
        str, Parameter(help='A folder of sounds named after what is heard; "shipped"; "" is text.')
    ] = SHIPPED,
    conditions: Annotated[
        str, Parameter(help="Under which to ask, with commas [all that clips allow].")
    ] = "",
    negatives: Annotated[
        str, Parameter(help="How wrong pairs are drawn: random, popular, sibling, adversarial.")
    ] = "random",
    forms: Annotated[str, Parameter(help="yes-no, negated, choice.")] = "yes-no",
    wordings: Annotated[
        str, Parameter(help="plain, instructed (for chat models), or a file of TOML.")
    ] = "plain",
    n_clips: Annotated[int, Parameter(help="Clips of each concept at most; 0 takes all.")] = 2,
    out: Annotated[
        Path, Parameter(help="Folder for report.html, trials.json and the answers so far.")
    ] = Path("probe"),
    seed: Annotated[int, Parameter(help="Of wrong pairs, orders and noise.")] = 0,
    dry_run: Annotated[
        bool, Parameter(help="Only show some questions, and how many there are.", negative=())
    ] = False,
) -> int:
    """Does a model know what it hears? The same questions of the word and of the sound.

    Every right pair (a crow, a bird) has a wrong one for the same class, so that saying yes, or
    guessing by base rates, is right half of the time. OUT/report.html compares the conditions, and
    names the kind of listener. Stopped at any moment, the same command goes on.

    Example: audioprobe probe --model ltu:mini --pairs hypernym --out probe
    """
    from audioprobe.datasets.recordings import Recordings
    from audioprobe.probes.asking import Manners
    from audioprobe.probes.concept_probe import ConceptProbe

    sounds = Recordings().clips() if clips == SHIPPED else clips or None
    asker = ConceptProbe(
        "scripted:yes" if dry_run else _kept(model, out),
        conditions=_split(conditions) or None,  # type: ignore[arg-type]
        forms=_split(forms),  # type: ignore[arg-type]
        negatives=_split(negatives),  # type: ignore[arg-type]
        manners=Manners(wordings=wordings),
        n_clips=n_clips,
        seed=seed,
    )
    return (_show if dry_run else partial(_ask, out))(asker, _split(pairs), sounds)


def _kept(model: str, out: Path) -> "LanguageModel":
    """The model, with its answers in the folder: a stopped probe goes on."""
    from audioprobe.language_models.cached_likelihoods import cached
    from audioprobe.registry import load

    out.mkdir(parents=True, exist_ok=True)
    return cached(load("language_model", model), out / "answers.sqlite")


def _show(asker: "ConceptProbe", pairs: Any, clips: Any) -> int:  # noqa: ANN401
    questions = asker.questionnaire(pairs, clips).questions
    for question in questions[:: max(1, len(questions) // _SHOWN)]:
        write(printable(f"{question.condition}: {question.text} [{question.sound}]"))
    write(f"\n{len(questions)} questions; equal ones are asked once")
    return 0


def _ask(out: Path, asker: "ConceptProbe", pairs: Any, clips: Any) -> int:  # noqa: ANN401
    from audioprobe.disk import write_whole

    with stage_bars() as bars:
        outcome = asker(pairs, clips, progress=bars)
    write_whole(out / "trials.json", outcome.to_json())
    outcome.to_html(out / "report.html")
    _tell(outcome)
    write(printable(f"\nlook at {out / 'report.html'}"))
    return 0 if any(not trial.failure for trial in outcome.trials) else EXIT_FAILED


def _tell(outcome: "ProbeOutcome") -> None:
    found = outcome.verdict()
    width = terminal_width()
    write(outcome.table("relation", "condition").to_text(width))
    write(f"\n{outcome.modality_gap()}")
    write(f"\n{printable(found.name)}\n({found.grounds})")


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())

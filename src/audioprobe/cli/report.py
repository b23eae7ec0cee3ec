"""The command that computes the report of a run anew, whatever kind of run it is."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.errors import InvalidInputError, located
from audioprobe.io.run_folder import CONFIG, MANIFEST


@app.command
def report(
    folder: Annotated[Path, Parameter(help="Of a run: what `run` or `probe` was given by --out.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Folder to write to [FOLDER].")] = None,
    name: Annotated[str, Parameter(help="In the title [name of FOLDER].")] = "",
    embed_audio: Annotated[
        bool, Parameter(help="Put the sounds that the report shows into it.", negative=())
    ] = False,
) -> int:
    """Compute the tables and the page of a run anew, from what its folder keeps.

    No model is asked. The report of a classification or a concept probe shows sounds, so that
    these must still be there. That of a study of fine-tuning needs its folder alone, and has the
    trainings that ended so far.

    Example: audioprobe report runs/recordings --out again
    """
    from audioprobe.cli.finetuning import report_study
    from audioprobe.cli.probe import tell_probe
    from audioprobe.cli.run import tell_classification
    from audioprobe.io.config import parse_config, read_toml

    kind, target = _kind_of(folder), out or folder
    title = name or folder.resolve().name
    if kind == "finetuning":
        return report_study(folder, title, out)
    config = folder / CONFIG
    text = config.read_text(encoding="utf-8-sig")
    if kind == "probe":
        from audioprobe.experiments.probing.config import ProbeConfig
        from audioprobe.experiments.probing.run import ProbeRun

        with located(str(config)):
            probe = ProbeRun(parse_config(ProbeConfig, read_toml(config), str(config)), text)
        trials = probe.read(folder)
        target.mkdir(parents=True, exist_ok=True)
        return tell_probe(probe, trials, target, title, embed=embed_audio)
    from audioprobe.experiments.classification.config import read_classification
    from audioprobe.experiments.classification.run import ClassificationRun

    with located(str(config)):
        run = ClassificationRun(read_classification(config), text)
    cells = run.read(folder)
    target.mkdir(parents=True, exist_ok=True)
    return tell_classification(run, cells, target, title, embed=embed_audio)


def _kind_of(folder: Path) -> str:
    """Which kind of run a folder holds.

    Raises:
        InvalidInputError: if it holds none; says what it holds instead where that is known.
    """
    from audioprobe.io.config import read_toml

    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: no such folder. Name the folder of a run.")
    for file, told in _NO_RUNS.items():
        if (folder / file).is_file():
            raise InvalidInputError(f"{folder}: expected the folder of a run, and it holds {told}.")
    missing = [file for file in (CONFIG, MANIFEST) if not (folder / file).is_file()]
    if missing:
        raise InvalidInputError(
            f"{folder}: not the folder of a run, it has no {missing[0]}. Name the folder that "
            "`audioprobe run` or `probe` was given by --out."
        )
    kind = read_toml(folder / CONFIG).get("kind")
    if kind not in ("classification", "probe", "finetuning"):
        raise InvalidInputError(
            f"{folder / CONFIG}: expected kind = 'classification', 'probe' or 'finetuning', got "
            f"{kind!r}."
        )
    return str(kind)


_NO_RUNS = {
    "result.json": "a result of `classify` or `demo`; those have no report, but scores.csv",
    "recipe.json": "a training: measure it with `audioprobe examine`",
}
"""What other commands leave in a folder, by a file that tells it."""

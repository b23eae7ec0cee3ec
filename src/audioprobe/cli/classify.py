"""Commands that classify audio files."""

import json as plain_json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.cli.inputs import (
    ColumnsOption,
    FolderOption,
    WindowingOption,
    annotated_clips,
    columns_of,
    expanded,
    labels_of,
    windowing_of,
)
from audioprobe.cli.output import Output
from audioprobe.errors import InvalidInputError
from audioprobe.io.console import terminal_width
from audioprobe.io.text_table import printable
from audioprobe.progress_bars import progress_bars
from audioprobe.registry import available, load

if TYPE_CHECKING:
    from audioprobe.results import ClassificationResult
    from audioprobe.types import Clip

DEFAULT_MODEL = "ltu:mini"
PEERS = ("tag-captioner:yamnet", "tag-captioner:birdnet")
DEFAULT_SCORER = "embedding"
DEMO_SAMPLES = 5  # captions per recording in the demo

ModelOption = Annotated[
    str, Parameter(help="Language model: NAME or NAME:ARGUMENT, see `backends`.")
]
ScorerOption = Annotated[
    str,
    Parameter(
        help='Scores captions against labels: "embedding" (all-MiniLM-L6-v2 on this machine), '
        '"embedding:openai:text-embedding-ada-002", "keyword".'
    ),
]
TableOption = Annotated[
    Path | None,
    Parameter(
        help="Table of annotated clips instead of audio files (CSV, TSV, JSON lines, Parquet, or a "
        "table of Raven, Audacity or BirdNET-Analyzer). The scores are evaluated."
    ),
]
OutOption = Annotated[
    Path | None,
    Parameter(
        help="Folder for result.json (everything), scores.csv and the captions; the same command "
        "resumes an interrupted run."
    ),
]
OverwriteOption = Annotated[bool, Parameter(help="Replace another result in OUT.", negative=())]
SamplesOption = Annotated[
    int,
    Parameter(
        help="Captions per window; several are sampled with different seeds, and their scores are "
        "averaged."
    ),
]
PlotOption = Annotated[
    Path | None, Parameter(help="Draw the scores into this file (.png, .svg or .pdf).")
]
JsonOption = Annotated[
    bool, Parameter(help="Print the result as JSON instead of a table.", negative=())
]


@app.command
def classify(
    sounds: Annotated[
        list[str] | None, Parameter(help="Audio files, or folders that are searched.")
    ] = None,
    /,
    *,
    table: TableOption = None,
    columns: ColumnsOption = None,
    folder: FolderOption = None,
    split: Annotated[str | None, Parameter(help="Split of the table [all splits].")] = None,
    labels: Annotated[
        str | None,
        Parameter(help="Class names with commas, or @FILE with one per line [those in the table]."),
    ] = None,
    labels_file: Annotated[
        Path | None,
        Parameter(help="Same as --labels @FILE; lines that begin with # are comments."),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    scorer: ScorerOption = DEFAULT_SCORER,
    samples: SamplesOption = 1,
    windowing: WindowingOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
    overwrite: OverwriteOption = False,
) -> int:
    """Caption audio files and score the captions against labels.

    Recordings longer than 10 s are captioned in windows of 10 s, whose scores are pooled by their
    maximum; --windowing changes this. Unreadable files are listed with the cause. The exit status
    is 0 if a file was scored, 1 if none was, 2 for invalid input. File names that begin with "-" go
    after "--".

    Example: audioprobe classify meadow.wav street/ --labels crow,rain,truck --out run/

    Example: audioprobe classify --table annotations.csv --columns path=filename,labels=species
    """
    from audioprobe.audio.sources import clips_of
    from audioprobe.texts import checked_labels

    # Invalid input is reported before a model is loaded.
    if bool(sounds) == (table is not None):
        raise InvalidInputError("Pass either audio files and folders, or --table annotations.csv.")
    if table is None:
        names = checked_labels(labels_of(labels, labels_file))
        clips: Sequence[Clip] = clips_of(expanded(sounds or ()))
    else:
        clips, known = annotated_clips(table, folder, columns_of(columns), split)
        has_labels = labels is not None or labels_file is not None
        names = checked_labels(labels_of(labels, labels_file) if has_labels else known)
    output = Output(out, plot, as_json=json, overwrite=overwrite)
    config: dict[str, Any] = {"kind": "classify", "model": model, "scorer": scorer}
    origin = {"sounds": sounds} if sounds else {"table": str(table), "split": split or ""}
    reading = {"windowing": windowing_of(windowing)} if windowing else {}
    config |= {"labels": list(names), **origin, **reading}
    options: dict[str, Any] = {"scorer": scorer, "samples": samples, "output": output}
    (result,) = _classified(clips, names, models=[model], config=config, **options)
    return output.write(result)


@app.command
def demo(
    *,
    model: ModelOption = DEFAULT_MODEL,
    beside: Annotated[
        str | None,
        Parameter(
            help="Models to compare with, separated by commas [the tags of YAMNet and BirdNET, if "
            "installed]."
        ),
    ] = None,
    scorer: ScorerOption = DEFAULT_SCORER,
    samples: SamplesOption = DEMO_SAMPLES,
    out: OutOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
    overwrite: OverwriteOption = False,
) -> int:
    """Classify the 22 recordings that ship with the library, and evaluate the result."""
    from audioprobe.datasets.recordings import Recordings
    from audioprobe.results.tables import compare_captions

    recordings = Recordings()
    output = Output(out, plot, as_json=json, overwrite=overwrite)
    models = [model] if json else [model, *_peers(beside, model)]
    config = {"kind": "demo", "models": models, "scorer": scorer}
    labels = recordings.labels
    result, *others = _classified(
        recordings.clips(),
        labels,
        models=models,
        scorer=scorer,
        samples=samples,
        output=output,
        config=config,
    )
    if not others:
        return output.write(result)
    captions = compare_captions(dict(zip(models, [result, *others], strict=True)))
    evaluations = [
        f"\nBy the captions of {printable(name)}:\n\n{other.evaluate()}"
        for name, other in zip(models[1:], others, strict=True)
    ]
    last = f"\nBy the captions of {printable(model)}:\n"
    return output.write(result, [captions.to_text(terminal_width()), *evaluations, last])


def _peers(names: str | None, model: str) -> list[str]:
    """Return the names of the models to compare `model` with.

    `names` is a list separated by commas; None means the default models that are installed.
    """
    from audioprobe.weights import DEFAULT_WEIGHTS, find

    if names is not None:
        return [name.strip() for name in names.split(",") if name.strip()]
    ready = {backend.name for backend in available() if not backend.install}
    peers = []
    for peer in PEERS:
        encoder = peer.partition(":")[2]
        if encoder in ready and find(DEFAULT_WEIGHTS["encoder", encoder]) and peer != model:
            peers.append(peer)
    return peers


def _classified(
    clips: "Sequence[Clip]",
    labels: Sequence[str],
    *,
    models: Sequence[str],
    scorer: str,
    samples: int,
    output: Output,
    config: dict[str, Any],
) -> "list[ClassificationResult]":
    """Classify the clips with each model; captions from an earlier run in the folder are reused.

    Several samples are drawn from the first model only; the others are taggers in the demo.
    """
    from audioprobe.audio.windowing import Windowing
    from audioprobe.classification.caption import CaptionClassifier
    from audioprobe.experiments.run_metadata import audio_digests, clip_digests
    from audioprobe.io.config import parse_config
    from audioprobe.io.json_codec import to_json
    from audioprobe.models.cached import CachedModel

    windowing = parse_config(Windowing, config.get("windowing", {}), "--windowing")
    loaded = load("scorer", scorer)  # once, for all models
    n_samples = [samples, *[1] * (len(models) - 1)]
    classifiers = [
        CaptionClassifier(name, loaded, windowing=windowing, samples=n)
        for name, n in zip(models, n_samples, strict=True)
    ]
    if samples > 1:
        config = {**config, "samples": samples}

    def pinned() -> dict[str, object]:
        infos = [classifier.model.info for classifier in classifiers]
        return {
            "models": [plain_json.loads(to_json(info)) for info in infos],
            "scorer": plain_json.loads(to_json(loaded.info)),
            "clips": {"sounds": clip_digests(clips)},
        }

    digests = {"sounds": audio_digests(clips)}
    with output.run(config, pinned, digests) as run, progress_bars() as progress:
        if run is not None:
            classifiers = [
                CaptionClassifier(
                    CachedModel(classifier.model, run.response_log),
                    loaded,
                    windowing=windowing,
                    samples=n,
                )
                for classifier, n in zip(classifiers, n_samples, strict=True)
            ]
        return [classifier(clips, labels, progress=progress) for classifier in classifiers]

"""Memory per clip while the result of a large run is read from its parts, scored and written.

Parts of a made-up result with 28 labels are written. Two processes read parts of different numbers
of clips and compute the outputs except for the page; the difference of their peaks is that of the
clips.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from audioprobe.experiments.classification.parts import PART_SIZE
from audioprobe.io.atomic import atomic_write
from audioprobe.results import Caption, ClassificationResult, LabelScores, Provenance
from audioprobe.types import Clip
from side_by_side import finish

FEW, MANY = 40_000, 80_000  # with fewer, one row group of the scores would not be full
MOST_BYTES = 4096.0
LABELS = tuple(f"source {n}" for n in range(28))


def make_clips(n_clips: int) -> list[Clip]:
    """Return clips of 100 recordings, each with one label."""
    return [
        Clip(
            id=f"clip-{n:07}",
            path=Path(f"/data/recording-{n % 100:03}.wav"),
            labels=(LABELS[n * 7 % 28],),
            start=n / 50,
            duration=0.02,
            group=f"site {n % 100}",
        )
        for n in range(n_clips)
    ]


def make_result(clips: list[Clip], seed: int) -> ClassificationResult:
    """Return random scores and a caption for each clip."""
    ids = tuple(clip.id for clip in clips)
    scores = np.random.default_rng(seed).random((len(ids), len(LABELS))).round(4)
    return ClassificationResult(
        label_scores=LabelScores(ids, LABELS, scores),
        captions=tuple(
            Caption(clip_id=name, start=0.0, text=f"Wind, and {LABELS[n % 28]} far away.")
            for n, name in enumerate(ids)
        ),
        failures=(),
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
    )


def compute_outputs(folder: Path, n_clips: int) -> None:
    """Write and read parts, write JSON, CSV and Parquet, compute metrics; print the peak."""
    from audioprobe.experiments.classification.analysis import score_cells
    from audioprobe.experiments.classification.config import (
        ClassificationConfig,
        EvaluationSet,
        PromptSpec,
    )
    from audioprobe.experiments.classification.outputs import score_batches
    from audioprobe.experiments.classification.run import ClassificationCell
    from audioprobe.experiments.components import ComponentSpec
    from audioprobe.io.parquet import write_batches
    from audioprobe.metrics import Bootstrap
    from audioprobe.results.result_parts import read_parts, write_part
    from audioprobe.results.scores import groups_of

    clips = make_clips(n_clips)
    parts = []
    for start in range(0, n_clips, PART_SIZE):
        part = clips[start : start + PART_SIZE]
        parts.append((folder / f"{start}.parquet", part))
        write_part(*parts[-1], make_result(part, start), "")
    result = read_parts(parts)
    atomic_write(folder / "result.json", result.json_pieces())
    atomic_write(folder / "result.csv", result.csv_lines())
    cell = ClassificationCell(
        evaluation_set="field",
        prompt_level="caption",
        familiar=None,
        result=result,
        groups=groups_of(clips),
    )
    write_batches(folder / "scores.parquet", *score_batches([cell]))
    spec = ComponentSpec("made")
    config = ClassificationConfig(
        kind="classification",
        model=spec,
        evaluation_sets=(EvaluationSet(name="field", dataset=spec, split="all"),),
        prompt_levels=(PromptSpec(prompt="caption"),),
        bootstrap=Bootstrap(n_resamples=4),
    )
    score_cells([cell], config)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def peak(n_clips: int) -> float:
    """Return the peak memory of a process in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, folder, str(n_clips)]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)


def main() -> None:
    few, many = peak(FEW), peak(MANY)
    grown = (many - few) / (MANY - FEW)
    print(
        f"peak {few / 2**20:.0f} MiB with {FEW:,} clips, {many / 2**20:.0f} MiB with {MANY:,}: "
        f"{grown:,.0f} bytes per clip (limit {MOST_BYTES:g})"
    )
    finish(grown <= MOST_BYTES)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        compute_outputs(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()

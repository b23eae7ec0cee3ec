"""How the cost of a classification run grows with the number of clips.

A run with a scripted model is killed when 90 % of its prompts have a response. It is then resumed,
and its report is computed again. Each step is a process of its own, so that its peak memory is
known. Seconds are CPU time, which a busy machine hardly changes. The command fails if a resumed run
takes over a minute until it sends its first prompt, or if memory grows by more than 2 KiB per clip
and 150 MB for what has a limit, such as a part of 5,000 clips and the samples of the report.
"""

import argparse
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from audioprobe.types import ComponentInfo, Decoding, Prompt, Response
from side_by_side import finish

SIZES = (1_000, 8_000)
RATE, N_SAMPLES = 16_000, 320  # a clip of 20 ms
N_RECORDINGS = 100  # groups of clips
N_LABELS = 28  # as many as EDANSA has
N_RESAMPLES = 20
KILLED_AT = 0.9
MOST_RESUME_S, MOST_BYTES, MOST_FIXED_BYTES = 60.0, 2048.0, 150e6
FILES = ("responses.jsonl", "manifest.json", "scores.parquet", "report.html")
KILL, MARK = "MILLION_CLIPS_KILL", "MILLION_CLIPS_MARK"
LABELS = tuple(f"source {chr(97 + n // 10)}{n % 10}" for n in range(N_LABELS))
CONFIG = """
kind = "classification"
bootstrap = {{ n_resamples = {n_resamples} }}
model = {{ name = "tones" }}
scorer = {{ name = "keyword" }}
prompt_levels = [{{ prompt = "caption" }}]

[[evaluation_sets]]
name = "field"
dataset = {{ name = "manifest", options = {{ table = "{table}" }} }}
split = "all"
"""


class Tones:
    """Names the label that the first sample of a clip encodes, which is right in 70 % of clips.

    The environment names a file to which the CPU time at the first prompt is written, and it can
    have a number of prompts after which the process is killed.
    """

    info = ComponentInfo("language_model", "tones", "1")

    def __init__(self) -> None:
        self._n_sent = 0

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield a caption for each prompt."""
        del decoding
        most = int(os.environ.get(KILL, "0"))
        for prompt in prompts:
            self._n_sent += 1
            if self._n_sent == 1:
                Path(os.environ[MARK]).write_text(str(time.process_time()))
            assert prompt.audio is not None
            label = LABELS[round(float(prompt.audio.samples[0]) * 64)]
            yield Response(f"A recording of {label} with wind and a distant engine.")
            if self._n_sent == most:
                os.kill(os.getpid(), signal.SIGKILL)


def make_clips(folder: Path, n_clips: int) -> Path:
    """Write recordings and the table of their clips; return its path."""
    table = folder / "clips.csv"
    if table.is_file():
        return table
    rng = np.random.default_rng(0)
    parts = np.array_split(np.arange(n_clips), min(N_RECORDINGS, n_clips))
    with (folder / "partial").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "path", "start", "duration", "labels", "group"))
        for number, part in enumerate(parts):
            samples = rng.uniform(-0.3, 0.3, (len(part), N_SAMPLES)).astype(np.float32)
            truth = rng.integers(N_LABELS, size=len(part))
            is_right = rng.random(len(part)) < 0.7
            spoken = np.where(is_right, truth, rng.integers(N_LABELS, size=len(part)))
            samples[:, 0] = spoken / 64
            name = f"recording-{number:03}.wav"
            soundfile.write(folder / name, samples.ravel(), RATE, subtype="FLOAT")
            for row, (clip, label) in enumerate(zip(part, truth, strict=True)):
                start = row * N_SAMPLES / RATE
                cells = (f"clip-{clip:07}", name, start, N_SAMPLES / RATE, LABELS[label], number)
                writer.writerow(cells)
    (folder / "partial").rename(table)
    return table


def register(folder: Path) -> dict[str, str]:
    """Write a distribution that registers `Tones`; return the environment in which it is found."""
    information = folder / "tones-1.0.dist-info"
    information.mkdir(exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tones\nVersion: 1.0\n")
    entry = "[audioprobe.language_models]\ntones = million_clips:Tones\n"
    (information / "entry_points.txt").write_text(entry)
    paths = (str(folder), str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), MARK: str(folder / "mark")}


def step(command: str, config: Path, folder: Path) -> None:
    """Run or report, and print CPU seconds and peak memory as JSON."""
    from audioprobe.experiments.classification.config import read_classification
    from audioprobe.experiments.classification.outputs import write_outputs
    from audioprobe.experiments.classification.run import ClassificationRun

    run = ClassificationRun(read_classification(config), config.read_text())
    seconds = [time.process_time()]
    cells = run.read(folder) if command == "report" else run(folder)
    seconds.append(time.process_time())
    write_outputs(run, cells, folder, "clips")
    seconds.append(time.process_time())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start_s, results_s, outputs_s = np.diff([0, *seconds]).tolist()
    print(json.dumps([start_s, results_s, outputs_s, peak]))


class Steps:
    """The processes of one run in a folder."""

    def __init__(self, work: Path, n_clips: int, n_resamples: int) -> None:
        table = make_clips(work, n_clips)
        self._environment = register(work)
        self._mark = Path(self._environment[MARK])
        self._config, self.folder = work / "config.toml", work / "run"
        self._config.write_text(CONFIG.format(table=table, n_resamples=n_resamples))

    def __call__(self, command: str, **more: str) -> tuple[list[float], float, float]:
        """Return the output of a step, its CPU seconds, and those until its first prompt."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        arguments = ["--step", command, str(self._config), str(self.folder)]
        process = subprocess.run(
            [sys.executable, __file__, *arguments],
            env=self._environment | more,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process.returncode == (-signal.SIGKILL if KILL in more else 0), process.returncode
        first = float(self._mark.read_text()) if self._mark.is_file() else 0.0
        self._mark.unlink(missing_ok=True)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return json.loads(process.stdout or "[]"), cpu, first


def measure(n_clips: int, work: Path, n_resamples: int) -> dict[str, float]:
    """Kill, resume and report a run; return seconds and bytes by name."""
    steps = Steps(work, n_clips, n_resamples)
    n_before = round(KILLED_AT * n_clips)
    _, killed_s, first_s = steps("run", **{KILL: str(n_before)})
    (_, results_s, outputs_s, peak), _, resume_s = steps("run")
    (start_s, read_s, _, report_peak), _, _ = steps("report")
    files = {name: (steps.folder / name).stat().st_size for name in FILES}
    results = sum(p.stat().st_size for p in (steps.folder / "results").rglob("*") if p.is_file())
    return {
        "clips": n_clips,
        "load clips (s)": start_s,
        "first 90 % (s)": killed_s,
        "resume, other 10 % (s)": results_s,
        "outputs (s)": outputs_s,
        "read results (s)": read_s,
        "until first prompt (s)": first_s,
        "until first prompt, resumed (s)": resume_s,
        "peak memory (bytes)": peak,
        "peak memory of report (bytes)": report_peak,
        **{f"{name} (bytes)": size for name, size in files.items()},
        "results/ (bytes)": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="numbers of clips")
    parser.add_argument("--csv", type=Path, help="table to which a row per size is added")
    parser.add_argument("--work", type=Path, help="folder for temporary files")
    parser.add_argument("--resamples", type=int, default=N_RESAMPLES, help="of the intervals")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        command, config, folder = options.step
        step(command, Path(config), Path(folder))
        return
    rows = []
    for n_clips in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.work) as work:
            rows.append(measure(n_clips, Path(work), options.resamples))
        for name, value in rows[-1].items():
            print(f"{name:40}{value:16,.1f}{value / n_clips:16,.4f} per clip", flush=True)
        if options.csv:
            is_new = not options.csv.is_file()
            with options.csv.open("a", newline="") as stream:
                writer = csv.DictWriter(stream, rows[-1])
                if is_new:
                    writer.writeheader()
                writer.writerow({name: round(value, 2) for name, value in rows[-1].items()})
    finish(*map(_fits, rows, rows[:1] * len(rows)))


def _fits(row: dict[str, float], smallest: dict[str, float]) -> bool:
    """Print whether a size stays within the limits; memory is compared with the smallest size."""
    resume_s = row["until first prompt, resumed (s)"]
    more = row["clips"] - smallest["clips"]
    grown = row["peak memory (bytes)"] - smallest["peak memory (bytes)"]
    most = MOST_FIXED_BYTES + MOST_BYTES * more
    print(
        f"{row['clips']:,.0f} clips: resumed in {resume_s:.1f} s (limit {MOST_RESUME_S:g}), memory "
        f"grew by {grown / 1e6:,.0f} MB (limit {most / 1e6:,.0f})"
    )
    return resume_s <= MOST_RESUME_S and grown <= most


if __name__ == "__main__":
    main()

"""How the cost of a classification run grows with the number of clips.

A run with a scripted model is killed when 90 % of its prompts have a response. It is then resumed,
and its report is computed again. Each step is a process of its own, so that its peak memory is
known. Printed, for each number of clips: seconds, peak memory and bytes of the files of the run.
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

SIZES = (300, 3_000)
RATE, N_SAMPLES = 16_000, 320  # a clip of 20 ms
N_RECORDINGS = 100  # groups of clips
N_LABELS = 28  # as many as EDANSA has
N_RESAMPLES = 20
KILLED_AT = 0.9
BAR_RESUME_S, BAR_BYTES = 60.0, 8192.0
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

    The environment can name a file to which the time of the first prompt is written, and a number
    of prompts after which the process is killed.
    """

    info = ComponentInfo("language_model", "tones", "1")

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield a caption for each prompt."""
        del decoding
        most = int(os.environ.get(KILL, "0"))
        for n, prompt in enumerate(prompts, 1):
            if n == 1:
                Path(os.environ[MARK]).write_text(str(time.time()))
            assert prompt.audio is not None
            label = LABELS[round(float(prompt.audio.samples[0]) * 64)]
            yield Response(f"A recording of {label} with wind and a distant engine.")
            if n == most:
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
    """Run or report, and print seconds and peak memory of the parts as JSON."""
    from audioprobe.experiments.classification.config import read_classification
    from audioprobe.experiments.classification.outputs import write_outputs
    from audioprobe.experiments.classification.run import ClassificationRun

    times = {}
    start = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal start
        times[f"{name}_s"] = time.perf_counter() - start
        times[f"{name}_peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
        start = time.perf_counter()

    run = ClassificationRun(read_classification(config), config.read_text())
    lap("clips")
    cells = run.read(folder) if command == "report" else run(folder)
    lap(command)
    write_outputs(run, cells, folder, "clips")
    lap("outputs")
    print(json.dumps(times))


def measure(n_clips: int, work: Path, n_resamples: int) -> dict[str, float]:
    """Kill, resume and report a run; return its seconds and bytes by name."""
    table = make_clips(work, n_clips)
    environment = register(work)
    config, folder = work / "config.toml", work / "run"
    config.write_text(CONFIG.format(table=table, n_resamples=n_resamples))

    def start(command: str, **more: str) -> tuple[int, dict[str, float], float]:
        began, clock = time.time(), time.perf_counter()
        arguments = [sys.executable, __file__, "--step", command, str(config), str(folder)]
        process = subprocess.run(
            arguments, env=environment | more, stdout=subprocess.PIPE, text=True, check=False
        )
        mark = Path(environment[MARK])
        first = float(mark.read_text()) - began if mark.is_file() else float("nan")
        mark.unlink(missing_ok=True)
        took = {f"{command}_process_s": time.perf_counter() - clock}
        times = json.loads(process.stdout) if process.returncode == 0 else {}
        return process.returncode, took | times, first

    n_before = round(KILLED_AT * n_clips)
    status, killed, first = start("run", **{KILL: str(n_before)})
    assert status == -signal.SIGKILL, status
    row = {"clips": float(n_clips), "first_start_s": first}
    row["killed_s"] = killed["run_process_s"]
    status, times, row["resume_s"] = start("run")
    assert status == 0, status
    row |= times
    status, times, _ = start("report")
    assert status == 0, status
    row |= {f"again_{name}": value for name, value in times.items()}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        row[f"bytes_{path.name}"] = path.stat().st_size
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--resamples", type=int, default=N_RESAMPLES)
    parser.add_argument("--step", nargs=3)
    options = parser.parse_args()
    if options.step:
        step(options.step[0], Path(options.step[1]), Path(options.step[2]))
        return
    for n_clips in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            row = measure(n_clips, Path(folder), options.resamples)
        print(json.dumps({k: round(v, 2) for k, v in row.items()}, indent=1), flush=True)


if __name__ == "__main__":
    main()

"""Hours that captions of a data set take, by number of GPUs, from measured rates.

The formula: a run sends n = clips × windows per clip × prompts. It takes

    hours = n × (seconds of a batch ÷ batch size ÷ GPUs + seconds of the driver) ÷ 3600

The driver is the process that reads audio, stores responses, scores captions and writes the report.
It is added, as if it never worked at the same time as the model: this is an upper limit.
"""

import argparse
import csv
from pathlib import Path

# `gpu/true_size.py`: LTU-7B, bfloat16, captions of 64 tokens, one H200
BATCH_S, BATCH_SIZE = 4.2, 8
WINDOW_S = 10.0
CLIPS = {
    "EDANSA": 10_771,  # rows of its table
    "AudioSet": 2_084_320,  # clips, as published
    "1,000 hours of field recordings": round(1_000 * 3_600 / WINDOW_S),  # one prompt per window
}
N_GPUS = (1, 8, 64)
TABLE = Path(__file__).parents[1] / "docs" / "run-cost.csv"
RESUME = "until first prompt, resumed (s)"
PEAK = "peak memory (bytes)"
STEPS = ("load clips (s)", "first 90 % (s)", "resume, other 10 % (s)", "outputs (s)")


def hours(
    n_prompts: int,
    n_gpus: int,
    driver_s: float,
    *,
    batch_s: float = BATCH_S,
    batch_size: int = BATCH_SIZE,
) -> float:
    """Return the duration of a run in hours.

    Args:
        n_prompts: number of clips times windows per clip times prompts.
        n_gpus: number of GPUs, each with a copy of the model.
        driver_s: seconds of the driver per prompt.
        batch_s: seconds of a batch of prompts on one GPU.
        batch_size: number of prompts of a batch.
    """
    return n_prompts * (batch_s / batch_size / n_gpus + driver_s) / 3_600


def read_table(path: Path = TABLE) -> list[dict[str, float]]:
    """Return the rows of a table that `million_clips.py` wrote, by number of clips."""
    with path.open(newline="") as stream:
        rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(stream)]
    return sorted(rows, key=lambda row: row["clips"])


def per_clip(rows: list[dict[str, float]], *names: str) -> float:
    """Return the sum of some columns per additional clip, from the smallest to the largest run."""
    first, last = rows[0], rows[-1]
    return sum(last[n] - first[n] for n in names) / (last["clips"] - first["clips"])


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Draw seconds and bytes against the number of clips."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "audioprobe"  # equal data give equal bytes
    clips = [row["clips"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    run_s = [sum(row[name] for name in STEPS) for row in rows]
    left.plot(clips, run_s, "o-", label="run and outputs")
    left.plot(clips, [row["read results (s)"] for row in rows], "s-", label="read results")
    left.plot(clips, [row[RESUME] for row in rows], "^-", label="until first prompt, resumed")
    left.set_ylabel("CPU seconds")
    right.plot(clips, [row[PEAK] for row in rows], "o-", label="peak memory")
    for name, marker in (("results/", "s"), ("responses.jsonl", "^"), ("scores.parquet", "v")):
        values = [row[f"{name} (bytes)"] for row in rows]
        right.plot(clips, values, f"{marker}-", label=name)
    right.set_ylabel("bytes")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="clips")
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=float, default=BATCH_S, help="seconds of a batch")
    parser.add_argument("--size", type=int, default=BATCH_SIZE, help="prompts of a batch")
    parser.add_argument("--table", type=Path, default=TABLE, help="what million_clips.py wrote")
    parser.add_argument("--plot", type=Path, help="picture to write")
    options = parser.parse_args()
    rows = read_table(options.table)
    if options.plot:
        plot(rows, options.plot)
    driver_s = per_clip(rows, *STEPS)
    print(f"driver: {1000 * driver_s:.2f} ms per clip")
    print("| clips | prompts |", " | ".join(f"{n} GPU{'s' if n > 1 else ''}" for n in N_GPUS), "|")
    print("| --- | ---: |", " | ".join("---:" for _ in N_GPUS), "|")
    for name, n_clips in CLIPS.items():
        durations = (
            hours(n_clips, n, driver_s, batch_s=options.batch, batch_size=options.size)
            for n in N_GPUS
        )
        cells = " | ".join(f"{duration:,.{0 if duration > 99 else 2}f} h" for duration in durations)
        print(f"| {name} | {n_clips:,} | {cells} |")


if __name__ == "__main__":
    main()

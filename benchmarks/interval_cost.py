"""How the cost of the intervals of an evaluation grows with the number of clips.

AUC and average precision of 28 labels, their macro means and that of F1 are evaluated, with clips
that are independent and with clips of 100 recordings. Each size is a process of its own. Seconds
are CPU time, which a busy machine hardly changes; those of a resample are the difference between
evaluations with many and with few resamples. A million clips are extrapolated from the largest
size. The command fails if a resample takes more than a microsecond per clip, or if memory grows by
more than 4 KiB per clip.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from audioprobe.metrics import Bootstrap, FixedThreshold
from audioprobe.results.evaluation import evaluate
from side_by_side import finish

SIZES = (10_000, 30_000, 100_000)
N_LABELS, N_RECORDINGS = 28, 100
FEW = 16  # resamples
N_MORE = 6_400_000  # further resamples times clips, so that each size is measured for as long
MOST_S, MOST_BYTES = 1e-6, 4096.0
MILLION, DEFAULT = 1_000_000, Bootstrap().n_resamples


def measure(n_clips: int) -> None:
    """Print seconds without resamples, seconds per resample, the same with groups, and the peak."""
    rng, n_more = np.random.default_rng(0), N_MORE // n_clips
    targets = rng.random((n_clips, N_LABELS)) < 1 / N_LABELS
    scores = rng.random((n_clips, N_LABELS)) + 0.3 * targets
    labels = tuple(f"source {n}" for n in range(N_LABELS))

    def seconds_of(n_resamples: int, groups: list[int] | None) -> float:
        began = time.process_time()
        evaluate(
            scores,
            targets,
            labels,
            threshold=FixedThreshold(0.9),
            bootstrap=Bootstrap(n_resamples),
            groups=groups,
        )
        return time.process_time() - began

    seconds_of(FEW, None)  # imports and first allocations are not measured
    seconds: list[float] = []
    for groups in (None, (np.arange(n_clips) % N_RECORDINGS).tolist()):
        few, many = (seconds_of(n_resamples, groups) for n_resamples in (FEW, FEW + n_more))
        per_resample = (many - few) / n_more
        seconds += [few - FEW * per_resample, per_resample]
    print(json.dumps([*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="numbers of clips")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    peaks, costs = [], []
    for n_clips in options.sizes:
        command = [sys.executable, __file__, "--measure", str(n_clips)]
        output = subprocess.run(command, check=True, capture_output=True).stdout
        *seconds, peak = json.loads(output)
        peaks.append(peak)
        costs.append([each / n_clips for each in seconds])
        for name, start, each in zip(("clips", "groups"), seconds[::2], seconds[1::2], strict=True):
            print(
                f"{n_clips:,} clips, resamples of {name}: {start:.2f} s and {1000 * each:.2f} ms "
                f"per resample, {1e9 * each / n_clips:.0f} ns per clip and resample"
            )
        print(f"{n_clips:,} clips: peak memory {peak / 2**20:.0f} MiB")
    for name, start, each in zip(("clips", "groups"), costs[-1][::2], costs[-1][1::2], strict=True):
        minutes = MILLION * (start + DEFAULT * each) / 60
        print(f"{MILLION:,} clips, {DEFAULT:,} resamples of {name}: {minutes:.0f} min extrapolated")
    grown = (peaks[-1] - peaks[0]) / max(1, options.sizes[-1] - options.sizes[0])
    print(f"memory grew by {grown:,.0f} bytes per clip (limit {MOST_BYTES:g})")
    finish(max(costs[-1][1::2]) <= MOST_S, grown <= MOST_BYTES)


if __name__ == "__main__":
    main()

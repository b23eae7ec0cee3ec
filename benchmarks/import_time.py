"""Seconds that `import audioprobe` adds to Python's start, against importing numpy."""

import statistics
import subprocess
import sys
import time

from side_by_side import finish, report

RUNS = 9


def seconds(code: str) -> float:
    """Median time of a fresh process."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    bare = seconds("pass")
    numpy = seconds("import numpy") - bare
    ours = max(seconds("import audioprobe") - bare, 1e-4)
    print(f"import audioprobe: {1000 * ours:.0f} ms, import numpy: {1000 * numpy:.0f} ms")
    finish(report("import of audioprobe against numpy", numpy / ours, 2.0))


if __name__ == "__main__":
    main()

"""Import times: `import audioprobe` against numpy, `LTU` against the libraries that it needs."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from side_by_side import finish, report

RUNS = 9
LIBRARIES = "import torch\nfrom transformers import LlamaForCausalLM\nimport peft"


def seconds(codes: Sequence[str], runs: int) -> list[float]:
    """Return the median time of a new process for each program; programs alternate."""
    times: list[list[float]] = [[] for _ in codes]
    for _ in range(runs):
        for code, measured in zip(codes, times, strict=True):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            measured.append(time.perf_counter() - start)
    return [statistics.median(measured) for measured in times]


def main() -> None:
    bare, numpy, package = seconds(["pass", "import numpy", "import audioprobe"], RUNS)
    package = max(package - bare, 1e-4)
    numpy -= bare
    print(f"import audioprobe: {1000 * package:.0f} ms, import numpy: {1000 * numpy:.0f} ms")
    libraries, ltu = seconds([LIBRARIES, "from audioprobe import LTU"], RUNS)
    print(f"LTU: {ltu:.2f} s, torch, transformers' LLaMA and peft: {libraries:.2f} s")
    print(f"LTU takes {ltu / libraries:.2f} times as long as these libraries (at most 1.3)")
    finish(
        report("import of audioprobe against numpy", numpy / package, 2.0),
        report("import of LTU against its libraries", libraries / ltu, 1 / 1.3, limit=1.0),
    )


if __name__ == "__main__":
    main()

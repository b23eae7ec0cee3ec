"""Ways of doing one thing, alternating in one process, so that drift affects all alike."""

import sys
import time
from collections.abc import Callable, Sequence

ROUNDS = 5


def ratio(peer: Callable[[], object], ours: Callable[[], object], rounds: int = ROUNDS) -> float:
    """How many times as fast ours is: best time of the peer over best time of ours.

    Args:
        peer: the other way; called once before anything is timed, like ours.
        ours: this library's way.
        rounds: alternations.
    """
    slow, fast = _best_times([peer, ours], rounds)
    return slow / fast


def ratios(
    peer: Callable[[], object],
    ours: Callable[[], object],
    limit: Callable[[], object],
    rounds: int = ROUNDS,
) -> tuple[float, float]:
    """Return how many times as fast as the peer this library is, and how many `limit` is.

    `limit` does only what no implementation can avoid; all three alternate.
    """
    slow, fast, fastest = _best_times([peer, ours, limit], rounds)
    return slow / fast, slow / fastest


def _best_times(functions: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the shortest time of each function; each is called once before."""
    best = [float("inf")] * len(functions)
    for function in functions:
        function()
    for _ in range(rounds):
        for n, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[n] = min(best[n], time.perf_counter() - start)
    return best


def report(what: str, found: float, bar: float, limit: float | None = None) -> bool:
    """Print one ratio, the largest that is possible, and whether the ratio reaches its bar."""
    reached, bound = found >= bar, "" if limit is None else f"limit {limit:.3g}, "
    print(f"{what}: {found:.1f} times ({bound}bar {bar:g}){'' if reached else '  BELOW THE BAR'}")
    return reached


def finish(*reached: bool) -> None:
    """Exit with status 1 if a bar was missed."""
    sys.exit(0 if all(reached) else 1)

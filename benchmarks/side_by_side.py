"""Two ways of doing one thing, alternating in one process, so that drift hits both alike."""

import sys
import time
from collections.abc import Callable

ROUNDS = 5


def ratio(peer: Callable[[], object], ours: Callable[[], object], rounds: int = ROUNDS) -> float:
    """How many times as fast ours is: best time of the peer over best time of ours.

    Args:
        peer: the other way; called once before anything is timed, like ours.
        ours: this library's way.
        rounds: alternations.
    """
    best = {peer: float("inf"), ours: float("inf")}
    for function in (peer, ours):
        function()
    for _ in range(rounds):
        for function in (peer, ours):
            start = time.perf_counter()
            function()
            best[function] = min(best[function], time.perf_counter() - start)
    return best[peer] / best[ours]


def report(what: str, found: float, bar: float) -> bool:
    """Print one ratio and whether it reaches its bar."""
    reached = found >= bar
    print(f"{what}: {found:.1f} times (bar {bar:g}){'' if reached else '  BELOW THE BAR'}")
    return reached


def finish(*reached: bool) -> None:
    """Exit with status 1 if a bar was missed."""
    sys.exit(0 if all(reached) else 1)

"""A language model that takes its time and notes each question, as a distribution of its own."""

import os
from pathlib import Path

from tests.processes import SETTINGS

MODULE = '''
import os
import time
from pathlib import Path

from audioprobe import ComponentInfo, Response


class Slow:
    """Answers by a hash of the prompt."""

    info = ComponentInfo("language_model", "slow", "1")

    def generate(self, prompts, decoding=None):
        for prompt in prompts:
            digest = prompt.digest()
            with Path(os.environ["SLOW_LOG"]).open("a") as log:
                log.write(f"{digest} {os.getpid()}\\n")
            time.sleep(float(os.environ["SLOW_SECONDS"]))
            yield Response(("a crow", "some rain", "a drum and a bell")[int(digest[0], 16) % 3])
'''
METADATA = "Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n"
ENTRY_POINTS = "[audioprobe.language_models]\nslow = slow:Slow\n"


def install(folder: Path, log: Path, seconds: float) -> dict[str, str]:
    """Write the distribution into a folder.

    Returns:
        The environment in which `audioprobe` finds it.
    """
    information = folder / "slow-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "slow.py").write_text(MODULE)
    (information / "METADATA").write_text(METADATA)
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    paths = os.pathsep.join((SETTINGS["PYTHONPATH"], str(folder)))
    return {"PYTHONPATH": paths, "SLOW_LOG": str(log), "SLOW_SECONDS": str(seconds)}

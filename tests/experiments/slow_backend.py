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


def install(folder: Path, log: Path, seconds: float) -> dict[str, str]:
    """Write the distribution into a folder.

    Returns:
        The environment in which `audioprobe` finds it.
    """
    environment = install_model(folder, "slow", MODULE, "Slow")
    return environment | {"SLOW_LOG": str(log), "SLOW_SECONDS": str(seconds)}


def install_model(folder: Path, name: str, module: str, attribute: str) -> dict[str, str]:
    """Write a distribution with a language model of this name, an attribute of its only module.

    Returns:
        The environment in which `audioprobe` finds it.
    """
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / f"{name}.py").write_text(module)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entry_points = f"[audioprobe.language_models]\n{name} = {name}:{attribute}\n"
    (information / "entry_points.txt").write_text(entry_points)
    return {"PYTHONPATH": os.pathsep.join((SETTINGS["PYTHONPATH"], str(folder)))}

"""Commands that convert a checkpoint, and check the installation."""

import textwrap
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app
from audioprobe.io.console import terminal_width, write
from audioprobe.io.text_table import printable


@app.command
def convert(
    checkpoint: Annotated[Path, Parameter(help="Trained checkpoint file (.bin or .safetensors).")],
    /,
    *,
    base: Annotated[
        str, Parameter(help="Folder or hub name of the LLaMA that the training started from.")
    ],
    out: Annotated[Path, Parameter(help="The folder to write; must not exist.")],
    whisper: Annotated[
        str | None,
        Parameter(help="For LTU-AS: folder or hub name of its Whisper [openai/whisper-large]."),
    ] = None,
) -> int:
    """Convert a published LTU and its base to one folder of safetensors.

    The folder loads with `LTU.from_pretrained("OUT")` or `--model ltu:OUT`, and records the origin
    and hash of its sources.

    Example: audioprobe convert ltu_ori_paper.bin --base lmsys/vicuna-7b-v1.1 --out ltu-7b/
    """
    from audioprobe.models.ltu.saving import convert_ltu

    folder = convert_ltu(checkpoint, out, base=base, whisper=whisper)
    write(printable(f"wrote {folder}"))
    return 0


@app.command
def doctor(
    sounds: Annotated[
        list[str] | None,
        Parameter(help="Audio files or folders to compare with the training data of `mini`."),
    ] = None,
    /,
    *,
    offline: Annotated[
        bool, Parameter(help="Do not try to reach the model hub.", negative=())
    ] = False,
) -> int:
    """Check machine, versions, weights and network, with advice for each problem.

    Files and folders are compared with the recordings that `mini` was trained on. The exit status
    is 0 if the demo can run, 1 if not.
    """
    from audioprobe.cli.doctor import check_environment

    checks = check_environment(use_network=not offline, paths=sounds or ())
    for check in checks:
        write(_wrapped(f"{check.state:9}", f"{check.subject}: {check.status}"))
        if check.advice:
            write(_wrapped(f"{'':9}-> ", check.advice))
    n_problems = sum(check.state == "problem" for check in checks)
    if n_problems:
        write(f"\n{n_problems} problems: follow the advice above. Then: audioprobe doctor")
        return EXIT_FAILED
    write("\nNo problems. Next: audioprobe demo")
    return 0


def _wrapped(lead: str, text: str) -> str:
    """Return a text with line breaks at spaces only: paths and commands are not broken."""
    return textwrap.fill(
        printable(text),
        terminal_width(),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )

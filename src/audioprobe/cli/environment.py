"""Commands about what is installed, and what it needs."""

import textwrap
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app
from audioprobe.cli.console import terminal_width, write
from audioprobe.io.text_table import printable


@app.command
def convert(
    checkpoint: Annotated[Path, Parameter(help="The trained file (.bin or .safetensors).")],
    /,
    *,
    base: Annotated[str, Parameter(help="Folder or hub name of the LLaMA that it was trained on.")],
    out: Annotated[Path, Parameter(help="The folder to write; must not be there yet.")],
    whisper: Annotated[
        str | None,
        Parameter(help="For LTU-AS: folder or hub name of its Whisper [openai/whisper-large]."),
    ] = None,
) -> int:
    """Write a published LTU, its base included, as one folder of safetensors.

    The folder loads in one call, `LTU.from_pretrained("OUT")`, or by `--model ltu:OUT`, and records
    the origin and hash of what it was made from.

    Example: audioprobe convert ltu_ori_paper.bin --base lmsys/vicuna-7b-v1.1 --out ltu-7b/
    """
    from audioprobe.models.ltu.conversion import convert_ltu

    folder = convert_ltu(checkpoint, out, base=base, whisper=whisper)
    write(printable(f"wrote {folder}"))
    return 0


@app.command
def doctor(
    sounds: Annotated[
        list[str] | None,
        Parameter(help="Sound files or folders: was the model `mini` trained on them?"),
    ] = None,
    /,
    *,
    offline: Annotated[
        bool, Parameter(help="Do not try to reach the model hub.", negative=())
    ] = False,
) -> int:
    """Examine machine, versions, weights and network, and say what to do about each problem.

    Named sounds are compared with the recordings that `mini` was trained on. The exit status is 0
    if the demo can run here, 1 if not.
    """
    from audioprobe.cli.doctor import examine

    findings = examine(ask_network=not offline, sounds=sounds or ())
    for finding in findings:
        write(_wrapped(f"{finding.state:9}", f"{finding.subject}: {finding.found}"))
        if finding.mend:
            write(_wrapped(f"{'':9}-> ", finding.mend))
    n_problems = sum(finding.state == "problem" for finding in findings)
    if n_problems:
        write(f"\n{n_problems} to mend, as said above. Then: audioprobe doctor")
        return EXIT_FAILED
    write("\nNo problems. Next: audioprobe demo")
    return 0


def _wrapped(lead: str, text: str) -> str:
    """Lines of the terminal's width, broken at spaces only: paths and commands can be copied."""
    return textwrap.fill(
        printable(text),
        terminal_width(),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )

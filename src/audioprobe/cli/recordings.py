"""Command that copies the shipped recordings."""

import filecmp
import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.errors import InvalidInputError
from audioprobe.io.console import write
from audioprobe.io.text_table import printable


@app.command
def copy_recordings(
    folder: Annotated[
        Path, Parameter(help="Folder to copy the recordings into; created if missing.")
    ],
    /,
) -> int:
    """Copy the 22 recordings that ship with the library into a folder.

    The recordings are short (licence CC0): crows, drums, bells and other sounds. The examples of
    the documentation use them; `recordings.csv` has their labels. An existing file with the same
    content is kept; an existing file with other content is an error.

    Example: audioprobe copy-recordings recordings/
    """
    from audioprobe.datasets.recordings import FOLDER

    folder.mkdir(parents=True, exist_ok=True)
    wanted = {path: folder / path.name for path in sorted(FOLDER.iterdir())}
    new = {path: target for path, target in wanted.items() if not target.exists()}
    for path in wanted.keys() - new.keys():
        if not filecmp.cmp(path, wanted[path], shallow=False):
            raise InvalidInputError(
                f"{wanted[path]}: another file of this name exists. Choose another folder."
            )
    for path, target in new.items():
        shutil.copyfile(path, target)
    n_kept = len(wanted) - len(new)
    write(printable(f"copied {len(new)} files to {folder}, {n_kept} existed already"))
    return 0

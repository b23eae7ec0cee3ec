"""The small LTUs that are installed with audioprobe, one folder per model.

`mini` is the default model; `mini-v1` is an earlier one, with which the stored fine-tuning study
was made. Importing this module does not import torch.
"""

from pathlib import Path

__all__ = ["MINI", "shipped_models"]

_FOLDER = Path(__file__).parent
MINI = _FOLDER / "mini"


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models by name."""
    return {path.parent.name: path.parent for path in sorted(_FOLDER.glob("*/ltu.json"))}

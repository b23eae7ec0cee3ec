"""Strategies that align audio tokens need tokens in the input of the language model."""

from pathlib import Path

import pytest

from audioprobe.errors import UnsupportedInputError
from audioprobe.finetuning.objective import build_objective
from audioprobe.models.ltu.trainable import TrainableLTU
from tests.models.connectors.tiny_connectors import CONNECTORS, checkpoint_of
from tests.tiny_ltu import write_base
from tests.tiny_tuning import strategy, tiny_data


@pytest.mark.parametrize("kind", ["contrastive", "hidden-states"])
def test_alignment_of_tokens_that_layers_read_is_refused(kind: str, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", with_sound=False)
    model = TrainableLTU(checkpoint_of(base, CONNECTORS["cross-attention"]).net)
    with pytest.raises(UnsupportedInputError, match="connector"):
        build_objective(model, tiny_data(tmp_path), strategy("projector", {"kind": kind}))
    assert build_objective(model, tiny_data(tmp_path), strategy("projector"))

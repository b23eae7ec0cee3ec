"""Notices of other libraries stay out of standard error, and nothing else does."""

import logging
import os

import pytest
from transformers.utils import logging as bars

import audioprobe.models  # noqa: F401 - hides the notice of bitsandbytes
from audioprobe.models.causal_lm.loading import without_weight_bars
from audioprobe.models.encoders.birdnet import without_tflite_notice
from tests.processes import run_python

NOTICE = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


def test_only_the_tflite_notice_is_removed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with without_tflite_notice():
        os.write(2, f"before\n{NOTICE}\nafter\n".encode())
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "before\nafter\nlater\n"


def test_output_of_a_crash_is_kept() -> None:
    code = (
        "import os\nfrom audioprobe.models.encoders.birdnet import without_tflite_notice\n"
        f"with without_tflite_notice():\n    os.write(2, b'{NOTICE}\\nbroken\\n')\n    os.abort()"
    )
    process = run_python(code)
    assert process.returncode < 0
    assert process.stderr == "broken\n"


def test_bitsandbytes_kernel_notice_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s.", "none")
    logger.error("something else")
    assert [record.message for record in caplog.records] == ["something else"]


def test_transformers_progress_bars_are_hidden_temporarily() -> None:
    shown = bars.is_progress_bar_enabled()
    with without_weight_bars():
        assert not bars.is_progress_bar_enabled()
    assert bars.is_progress_bar_enabled() == shown


@pytest.mark.slow
def test_classification_prints_no_library_notices() -> None:
    code = (
        "from audioprobe import LTU, BirdNET, EmbeddingScorer;"
        "LTU.from_pretrained('mini'); BirdNET(); EmbeddingScorer.local().score(['a'], ['b'])"
    )
    process = run_python(code)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")

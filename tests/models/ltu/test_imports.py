"""`from audioprobe import LTU` imports LLaMA and peft, but no code of other models."""

import json

import pytest
from tests.processes import run_python

CODE = """
import json, sys
import audioprobe.models.ltu
package = "torch" in sys.modules or "transformers" in sys.modules
from audioprobe import LTU
import logging
logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community")
print(json.dumps({"package": package, "modules": sorted(sys.modules)}))
"""


@pytest.mark.slow
def test_ltu_imports_llama_and_peft_but_no_other_model() -> None:
    process = run_python(CODE)
    assert (process.returncode, process.stderr) == (0, "")
    imported = json.loads(process.stdout)
    assert not imported["package"], "the package alone imports neither torch nor transformers"
    modules = set(imported["modules"])
    assert modules >= {"torch", "transformers.models.llama.modeling_llama", "peft"}
    unwanted = {
        "pandas",
        "sentence_transformers",
        "sklearn",
        "transformers.models.whisper.modeling_whisper",
    }
    assert not modules & unwanted

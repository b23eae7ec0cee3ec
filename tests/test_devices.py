"""Choice of device and data type, and the same words in every local backend."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from audioprobe import AST, CLAP, LTU, SentenceTransformerEmbedder, TransformersLM, YAMNet
from audioprobe.devices import placement

LOCAL: list[Callable[..., Any]] = [
    AST,
    CLAP,
    YAMNet,
    LTU.from_pretrained,
    TransformersLM,
    SentenceTransformerEmbedder,
]


@pytest.mark.parametrize(
    ("device", "dtype", "gpu", "expected"),
    [
        ("auto", "auto", False, ("cpu", "float32")),
        ("auto", "auto", True, ("cuda", "bfloat16")),
        ("auto", "float32", True, ("cuda", "float32")),
        ("cpu", "auto", True, ("cpu", "float32")),
        ("cuda:1", "auto", True, ("cuda:1", "bfloat16")),
        ("mps", "float16", False, ("mps", "float16")),
    ],
)
def test_auto_is_the_gpu_with_bfloat16_or_the_cpu_with_float32(
    device: str, dtype: str, gpu: bool, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert placement(device, dtype) == expected


@pytest.mark.parametrize("backend", LOCAL, ids=lambda backend: backend.__qualname__)
def test_local_backends_choose_the_device_themselves(backend: Callable[..., Any]) -> None:
    parameters = inspect.signature(backend).parameters
    assert parameters["device"].default == "auto"
    assert parameters["device"].kind is inspect.Parameter.KEYWORD_ONLY
    if "dtype" in parameters:
        assert parameters["dtype"].default == "float32", "results do not depend on the device"

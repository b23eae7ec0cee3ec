"""Find an exported LTU among the models of a vLLM server, and check its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event
from typing import Any

import torch

from audioprobe.errors import RemoteError
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.generation import TokenPrompt
from audioprobe.models.ltu.likelihood import log_likelihoods
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.models.ltu.serving import SERVED_DTYPES, ServedDtype, served_name
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.models.remote.budget import TokenUsage
from audioprobe.models.remote.client import ServiceClient
from audioprobe.models.remote.prompt_embeddings import format_error
from audioprobe.models.remote.vllm_chat import FORMAT_ERRORS
from audioprobe.types import LogLikelihood, Prompt

REFERENCE = Prompt("Is there a dog in this recording?")
REFERENCE_ANSWER = "A dog barks twice, and it rains."
"""A fixed answer, whose likelihood on the server is compared with that of the local weights."""

_TOLERANCE_NATS: Mapping[ServedDtype, float] = {"float32": 0.01, "bfloat16": 0.15, "float16": 0.05}
"""Largest difference per token that data types and other kernels may cause."""


@dataclass(frozen=True, slots=True)
class ServedLTU:
    """An exported LTU on a server.

    Attributes:
        name: name of the model at the server.
        dtype: data type for which it was exported.
        max_length: context of the server in tokens; None if the server does not report it.
        engine_version: version of vLLM; None if the server does not report it.
    """

    name: str
    dtype: ServedDtype
    max_length: int | None
    engine_version: str | None


def find_served_ltu(checkpoint: LTUCheckpoint, client: ServiceClient) -> ServedLTU:
    """Return the model of a server that was exported from this revision of an LTU.

    Raises:
        RemoteError: if the server has no such model, or cannot be reached.
    """
    expected: dict[str, ServedDtype] = {
        served_name(checkpoint, dtype): dtype for dtype in SERVED_DTYPES
    }
    models = _served_models(client)
    for name, dtype in expected.items():
        if name in models:
            return ServedLTU(name, dtype, models[name], _engine_version(client))
    received = client.quote(", ".join(map(repr, models)) or "none")
    raise RemoteError(
        f"Expected a server of {next(iter(expected))!r} or of the same model in another data type, "
        f"received {received}. Export this revision of the model (`audioprobe export MODEL --to "
        "vllm --out FOLDER`), and start the server with the command that it prints.",
        final=True,
    )


def local_reference(net: LTUNetwork, prompts: LTUPrompts) -> LogLikelihood:
    """Return the likelihood of the reference answer, computed with the local weights."""
    ids = torch.tensor(prompts.tokenize(prompts.full_text(REFERENCE)))
    answer = prompts.continuation_ids(REFERENCE_ANSWER)
    ((value,),) = log_likelihoods(net, [TokenPrompt(ids)], [answer])
    return value


def check_reference(local: LogLikelihood, remote: LogLikelihood, dtype: ServedDtype) -> None:
    """Raise `RemoteError` if a server computes another likelihood than the local weights."""
    tolerance = _TOLERANCE_NATS[dtype]
    if abs(remote.per_token - local.per_token) > tolerance:
        raise RemoteError(
            f"Expected a log-likelihood of {local.per_token:.4f} nats per token for a fixed answer "
            f"(tolerance {tolerance}), received {remote.per_token:.4f}. The server has other "
            "weights, another data type, or a --logprobs-mode that is not raw. Start it with the "
            "command that `audioprobe export` printed.",
            final=True,
        )


def _served_models(client: ServiceClient) -> dict[str, int | None]:
    """Return the context in tokens of each model of a server, by name."""

    def read(answer: Mapping[str, Any], usage: TokenUsage) -> dict[str, int | None]:
        del usage
        try:
            return {str(m["id"]): _length(m.get("max_model_len")) for m in answer["data"]}
        except FORMAT_ERRORS as error:
            raise format_error("a list of models", error) from None

    return client.request(
        "/models", None, read, expected="a list of models", n_input=0, stop=Event()
    )


def _length(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _engine_version(client: ServiceClient) -> str | None:
    """Return the version of vLLM; None if the server does not report it."""

    def read(answer: Mapping[str, Any], usage: TokenUsage) -> str | None:
        del usage
        version = answer.get("version")
        return client.quote(version) if isinstance(version, str) else None

    root = (client.base_url or "").rstrip("/").removesuffix("/v1")
    try:
        return client.request(
            f"{root}/version", None, read, expected="a version", n_input=0, stop=Event()
        )
    except RemoteError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None

"""A server that answers as vLLM 0.32 does (tests/data/vllm), with transformers as its engine."""

import base64
import copy
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.remote_service import Service, serve

RECORDED = json.loads((Path(__file__).parent / "data/vllm/answers.json").read_text("utf-8"))


class VllmEngine:
    """The language model in a folder that `export_for_vllm` wrote; loaded at the first request.

    Attributes:
        name: name under which the model is served; None uses the name in the folder's card.
        version: version of vLLM; None answers 404.
        max_length: context in tokens.
        changes: fields that replace those of every answer.
        n_new: number of tokens after which every response ends; None lets the model end it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self.name: str | None = None
        self.version: str | None = RECORDED["version"]["version"]
        self.max_length = 2048
        self.changes: dict[str, Any] = {}
        self.n_new: int | None = None

    @cached_property
    def model(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(self._folder)

    @cached_property
    def tokenizer(self) -> Any:
        return AutoTokenizer.from_pretrained(self._folder)

    def answer(self, service: Service, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request in vLLM's format."""
        if path == "/version":
            if self.version is None:
                raise LookupError
            return {"version": self.version}
        name = (
            self.name or json.loads((self._folder / "audioprobe.json").read_text())["served_name"]
        )
        if path == "/v1/models":
            models: dict[str, Any] = copy.deepcopy(RECORDED["models"])
            models["data"][0] |= {"id": name, "max_model_len": self.max_length}
            return models
        with self._lock, torch.inference_mode():
            is_chat = path == "/v1/chat/completions"
            assert is_chat or path == "/v1/completions", path
            assert "prompt_logprobs" not in request  # ends the server
            body: dict[str, Any] = copy.deepcopy(RECORDED["chat" if is_chat else "completion"])
            if is_chat:
                embeddings, ids = self._read_message(request)
                body["prompt_token_ids"] = ids
                known = [n for n in ids if n < self.model.config.vocab_size]
            else:
                embeddings, known = _decode(request["prompt_embeds"]), []
            choice = body["choices"][0]
            if "logprob_token_ids" in request:
                choice["logprobs"] = self._logprobs(embeddings, request)
            new = self._generate(embeddings, known, request)
            choice["token_ids"] = new
            choice["finish_reason"] = (
                "stop" if new[-1] == self.model.config.eos_token_id else "length"
            )
            usage = {"prompt_tokens": len(embeddings), "completion_tokens": len(new)}
        return body | {"model": name, "usage": usage} | self.changes

    def _read_message(self, request: dict[str, Any]) -> tuple[Tensor, list[int]]:
        """Return the embeddings and token ids of a chat; an id beyond the vocabulary is audio."""
        assert request["add_special_tokens"] is False
        (message,) = request["messages"]
        *audio, text = message["content"]
        rendered = self.tokenizer.apply_chat_template(
            [{**message, "content": [text]}], tokenize=False
        )
        assert rendered == text["text"]  # the template joins texts without any change
        ids = self.tokenizer(rendered, add_special_tokens=False).input_ids
        parts = [_decode(part["data"]) for part in audio]
        n_audio = sum(map(len, parts))
        parts.append(self.model.get_input_embeddings()(torch.tensor(ids)))
        return torch.cat(parts), [self.model.config.vocab_size] * n_audio + ids

    def _logits(self, embeddings: Tensor) -> Tensor:
        outputs = self.model(inputs_embeds=embeddings[None].to(self.model.dtype))
        logits: Tensor = outputs.logits[0, -1].float()
        return logits

    def _logprobs(self, embeddings: Tensor, request: dict[str, Any]) -> dict[str, Any]:
        assert request["return_tokens_as_token_ids"]
        assert len(request["logprob_token_ids"]) <= 128
        scores = self._logits(embeddings).log_softmax(-1)
        ids = {int(scores.argmax()), *request["logprob_token_ids"]}
        return {"top_logprobs": [{f"token_id:{n}": float(scores[n]) for n in ids}]}

    def _generate(self, embeddings: Tensor, known: list[int], request: dict[str, Any]) -> list[int]:
        """Return greedy tokens; the penalty applies to known tokens of the prompt and new ones."""
        new: list[int] = []
        penalty = request.get("repetition_penalty", 1.0)
        while len(new) < request["max_tokens"]:
            seen = torch.tensor([*known, *new], dtype=torch.long)
            logits = self._logits(embeddings)
            picked = logits[seen]
            logits[seen] = torch.where(picked > 0, picked / penalty, picked * penalty)
            is_over = len(new) == self.n_new
            new.append(self.model.config.eos_token_id if is_over else int(logits.argmax()))
            if new[-1] == self.model.config.eos_token_id:
                break
            after = self.model.get_input_embeddings()(torch.tensor(new[-1:]))
            embeddings = torch.cat([embeddings, after.to(embeddings.dtype)])
        return new


def _decode(data: str) -> Tensor:
    """Return the tensor in a request, which must have the shape (n_positions, hidden)."""
    content = io.BytesIO(base64.b64decode(data, validate=True))
    tensor: Tensor = torch.load(content, weights_only=True)
    assert tensor.ndim == 2
    return tensor


@contextmanager
def serve_vllm(folder: Path) -> Iterator[tuple[Service, VllmEngine]]:
    """Serve the model in a folder."""
    engine = VllmEngine(folder)
    with serve(engine.answer) as service:
        yield service, engine

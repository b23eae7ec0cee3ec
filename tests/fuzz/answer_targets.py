"""Targets: answers of models and services, and logs of other tools."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.exchange.probes import outcome
from tests.fuzz.mutations import Inputs, answers, damaged_json, damaged_json_lines
from tests.fuzz.target import Target, clear_errors, file_target
from tests.probing.answers.yes_no_cases import CASES

from audioprobe.exchange.logs import read_log
from audioprobe.io.json_codec import to_json
from audioprobe.models.embedders.openai import read_vectors
from audioprobe.models.remote.openai_format import read_response, read_unchecked
from audioprobe.models.remote.prompt_embeddings import check_text_ids, read_logprobs, read_tokens
from audioprobe.models.remote.retry import find_error, retry_after
from audioprobe.models.remote.vllm_chat import read_likelihood
from audioprobe.models.tool_agent.function_calling import _read_step
from audioprobe.models.tool_agent.text_protocol import parse_step
from audioprobe.probing.answers.choice import parse_choice
from audioprobe.probing.answers.yes_no import parse_yes_no
from audioprobe.responses import Response, split_reasoning

_DATA = Path(__file__).parents[1] / "data"
_OPTIONS = ("a crow", "a dog", "rain", "a bell")
_PARTS = (
    *(case for cases in CASES.values() for case in cases[:40]),
    *("<think>", "</think>", "<|im_start|>assistant\n", "[INST]", "\\boxed{"),
    *("{", "}", "[", '"', "'", "**", "- ", "1. "),
    *("not ", "no ", "A", "B.", "(C)", "option 2", "the first option", "a crow", "or "),
    *("I think ", "because ", "CALL tags {}", 'CALL a {"b": ', "ANSWER ", "RESULT "),
    *("...", ", ", "; ", " but ", "n't ", "?", "\u200b", "\ufeff", "\ud800", "é", "e\u0301"),
)  # fmt: skip
_CHAT = {
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A crow.", "reasoning_content": "Hm."},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "prompt_tokens_details": {"audio_tokens": 1},
    },
}
_PARTS_OF_CHAT = {
    **_CHAT,
    "choices": [
        {"message": {"content": [{"type": "text", "text": "A crow."}, {"type": "output_text"}]}}
    ],
}
_FUNCTION = {"name": "tags", "arguments": '{"sound": "a crow"}'}
_CALLS = {
    "choices": [
        {
            "message": {"tool_calls": [{"id": "1", "type": "function", "function": _FUNCTION}]},
            "finish_reason": "tool_calls",
        }
    ]
}
_LOGPROBS = {
    "prompt_logprobs": [
        None,
        {"1": {"logprob": -0.5, "rank": 1, "decoded_token": "A"}},
        {
            "2": {"logprob": -2.5, "rank": 3, "decoded_token": " crow"},
            "3": {"logprob": -0.1, "rank": 1, "decoded_token": " dog"},
        },
    ]
}
_TOKENS = {
    "choices": [
        {
            "token_ids": [5, 6, 2],
            "logprobs": {"top_logprobs": [{"token_id:5": -0.5, "token_id:6": -1}]},
        }
    ],
    "prompt_token_ids": [0, 0, 7, 8],
}  # fmt: skip
_ERRORS = {
    "error": {"message": "busy", "code": 503, "type": "overloaded_error", "status": "UNAVAILABLE"},
    "object": "error",
    "detail": [{"msg": "field required"}],
}
_VECTORS = {"data": [{"index": 1, "embedding": [0.5, 1]}, {"index": 0, "embedding": [1, 0.25]}]}


def _response(content: bytes, _folder: Path) -> None:
    text = content.decode("utf-8", "replace")
    parse_yes_no(text)
    position = parse_choice(text, _OPTIONS)
    assert position is None or 0 <= position < len(_OPTIONS)
    split_reasoning(text)
    for read in (Response, parse_step):
        with clear_errors():
            read(text)


def _answer(*readers: Callable[[Mapping[str, Any]], object]) -> Callable[[bytes, Path], None]:
    """Return a function that tries all readers with an answer that is a JSON object."""

    def read(content: bytes, _folder: Path) -> None:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):  # the client refuses it; see `run-service`
            return
        if isinstance(answer, dict):
            for reader in readers:
                with clear_errors():
                    reader(answer)

    return read


def _quote(text: str) -> str:
    return " ".join(text.split())[:200]


def _trees(*seeds: Mapping[str, Any]) -> Callable[[], Inputs]:
    return lambda: damaged_json(seeds)


def _headers(content: bytes, _folder: Path) -> None:
    text = content.decode("latin-1")
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after({name: text})
        assert seconds is None or seconds >= 0


def _lmms_lines() -> Inputs:
    (file,) = (_DATA / "lmms_eval").rglob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return damaged_json_lines([lines[:4]])


def _outcome() -> Inputs:
    return damaged_json([json.loads(to_json(outcome()))])


def _read_logs(path: Path) -> None:
    for parse in (False, True):
        with clear_errors():
            read_log(path, parse=parse)


def _inspect_log() -> Inputs:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec
    from inspect_ai.model import ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score

    spec = EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="sounds",
        dataset=EvalDataset(name="d", samples=1, sample_ids=[1]),
        model="mockllm/model",
        config=EvalConfig(epochs=1),
    )
    question = json.loads(to_json(outcome().trials[0].question))
    samples = [
        EvalSample(
            id=number,
            epoch=1,
            input=[ChatMessageUser(content="Which sound?\nA. a crow\nB. a dog")],
            target="A",
            choices=["a crow", "a dog"],
            output=ModelOutput.from_content("mockllm/model", "A"),
            scores={"choice": Score(value="C", answer="A")},
            metadata=metadata,
        )
        for number, metadata in enumerate(({}, {"audioprobe": question}), 1)
    ]
    log = EvalLog(eval=spec, status="success", samples=samples)
    return damaged_json([json.loads(log.model_dump_json(exclude_none=True))])


TARGETS = [
    Target("answer-text", lambda: answers(_PARTS), _response),
    Target(
        "answer-chat",
        _trees(_CHAT, _PARTS_OF_CHAT),
        _answer(
            lambda answer: read_response(answer, "m", 16, _quote),
            lambda answer: read_unchecked(answer, str),
        ),
    ),
    Target("answer-calls", _trees(_CALLS), _answer(lambda a: _read_step(a, "m", 16, _quote))),
    Target("answer-logprobs", _trees(_LOGPROBS), _answer(lambda a: read_likelihood(a, "A crow"))),
    Target(
        "answer-tokens",
        _trees(_TOKENS),
        _answer(
            lambda answer: read_tokens(answer, 2),
            lambda answer: read_logprobs(answer, (5, 6)),
            lambda answer: check_text_ids(answer, (7, 8), 2),
        ),
    ),
    Target("answer-errors", _trees(_ERRORS, _CHAT), _answer(find_error)),
    Target("answer-vectors", _trees(_VECTORS), _answer(lambda answer: read_vectors(answer, 2, 2))),
    Target(
        "answer-headers",
        lambda: answers(
            ("120", "-1", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "nan", "inf", " ", "0")
        ),
        _headers,
    ),
    file_target("log-lmms-eval", _lmms_lines, "d_samples_t.jsonl", _read_logs),
    file_target("log-probe", _outcome, "mini--set.json", _read_logs),
    replace(file_target("log-inspect", _inspect_log, "log.json", _read_logs), slow=True),
]

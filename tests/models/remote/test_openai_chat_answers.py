"""Answers of a remote chat model: unusable, without text, at the token limit, in parts."""

from typing import Any

import pytest
from tests.remote import chat, completion, fail_first, response_texts
from tests.remote_service import Answer, Service, reply

from audioprobe.errors import RemoteError
from audioprobe.types import Decoding, Prompt

TEXTS = [f"question {n}" for n in range(12)]
PROMPTS = [Prompt(text) for text in TEXTS]
ANSWERS = [reply(text, None) for text in TEXTS]


BROKEN = [
    Answer(body=b"<html>gateway</html>"),
    Answer(body=b""),
    Answer(body=b'{"choices": [{"mess'),
    Answer(body=b"[" * 100_000),
    Answer(n_missing=10),
    Answer(body=[1]),
    Answer(body={}),
    Answer(body={"choices": []}),
    Answer(body={"choices": None}),
    Answer(body={"choices": ["text"]}),
    Answer(body={"choices": [{"message": "text"}]}),
    Answer(body={"choices": [{"finish_reason": "stop"}]}),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda a: str(a.body)[:20])
def test_unusable_answer_is_retried_and_then_an_error(service: Service, broken: Answer) -> None:
    service.plan = fail_first(2, broken)
    assert response_texts(chat(service), PROMPTS[:1]) == ANSWERS[:1]
    service.plan = lambda *_: broken
    with pytest.raises(RemoteError, match=r"(Expected a chat|No connection).*tried 4 times"):
        response_texts(chat(service), PROMPTS[:1])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (completion({"content": None}), "no text"),
        (completion({"content": ""}), "no text"),
        (completion({"content": " \n"}, "length"), "Raise max_new_tokens"),
        (completion({"content": None, "reasoning_content": "Hm"}), "reasoning only"),
        (completion({"content": ["parts"]}), "no text"),
        (completion({"content": "I"}, "content_filter"), "withheld"),
        (
            completion({"content": None, "refusal": "I cannot hear that."}),
            "refused: 'I cannot hear",
        ),
        (
            completion({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"),
            "called a tool",
        ),
        (completion({"content": "", "tool_calls": [{"id": "1"}]}, "stop"), "called a tool"),
        (completion({"content": [{"type": "refusal", "refusal": "I can't."}]}), "refused: "),
        (completion({"content": [{"type": "thinking", "thinking": "Hm"}]}), "no text"),
        (completion({"content": None}, None), "no text"),
        (completion({"content": "I"}, "SAFETY"), "withheld"),
        (completion({"content": "A cr"}, "error"), "interrupted"),
        (completion({"content": "A crow"}, "abort"), "'abort'"),
    ],
)
def test_answer_without_text_is_an_error_and_not_retried(
    service: Service, body: Any, words: str
) -> None:
    service.plan = lambda *_: Answer(body=body)
    with pytest.raises(RemoteError, match=words) as caught:
        response_texts(chat(service), PROMPTS[:1])
    assert (caught.value.retryable, caught.value.final) == (False, False)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        (None, "stop"),
        ("", "stop"),
        ("eos_token", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("something new", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
    ],
)
def test_finish_reasons_are_mapped_to_stop_and_length(
    service: Service, finish: str | None, expected: str
) -> None:
    service.plan = lambda *_: Answer(body=completion({"content": "A crow."}, finish))
    [response] = chat(service).generate(PROMPTS[:1])
    assert (response.text, response.finish) == ("A crow.", expected)
    assert response.details == {"finish_reason": finish or "none given"}


def test_token_count_shows_the_limit_without_a_finish_reason(service: Service) -> None:
    body = completion({"content": "A crow"}, None)
    del body["choices"][0]["finish_reason"]
    service.plan = lambda *_: Answer(body={**body, "usage": {"completion_tokens": 2}})
    model = chat(service)
    ends = [
        next(model.generate(PROMPTS[:1], Decoding(max_new_tokens=limit))).finish for limit in (2, 3)
    ]
    assert ends == ["length", "stop"]


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Yes, it is."}],
        [{"type": "text", "text": "Yes"}, {"type": "text", "text": ", it is."}],
        [{"type": "thinking", "thinking": "No?"}, {"type": "text", "text": "Yes, it is."}],
        [{"type": "output_text", "text": "Yes, it is.", "annotations": []}],
        {"type": "text", "text": "Yes, it is."},
    ],
)
def test_text_parts_are_joined(service: Service, content: Any) -> None:
    service.plan = lambda *_: Answer(body=completion({"content": content, "refusal": None}))
    assert response_texts(chat(service), PROMPTS[:1]) == ["Yes, it is."]


def test_different_model_name_is_recorded(service: Service) -> None:
    service.plan = lambda *_: Answer(body={"model": "m-2026", **completion({"content": "A crow"})})
    [response] = chat(service).generate(PROMPTS[:1])
    assert response.details == {"model": "m-2026"}

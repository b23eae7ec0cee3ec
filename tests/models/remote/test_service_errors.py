"""Errors in the body of an answer: message, status, and whether the request is retried."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.remote import QUICK, chat, embedder, fail_first
from tests.remote_service import Answer, Service, reply

from audioprobe.errors import RemoteError
from audioprobe.models.remote.retry import find_error
from audioprobe.types import Prompt

ERRORS: list[tuple[Any, str, int | None, bool]] = [
    ({"error": {"message": "model overloaded", "code": 503}}, "model overloaded", 503, True),
    ({"error": {"message": "slow down", "code": "429"}}, "slow down", 429, True),
    ({"error": {"message": "no such field", "code": 400}}, "no such field", 400, False),
    ({"error": {"message": "hm", "type": "server_error"}}, "hm", None, True),
    ({"error": {"message": "hm", "type": "overloaded_error"}}, "hm", None, True),
    ({"error": {"message": "hm", "status": "UNAVAILABLE"}}, "hm", None, True),
    ({"error": {"message": "hm", "type": "invalid_request_error"}}, "hm", None, False),
    ({"error": {"message": "The model is currently loading"}}, "currently loading", None, True),
    ({"error": {"message": "Error while loading the sound"}}, "loading the sound", None, False),
    ({"error": "model 'm' not found"}, "model 'm' not found", None, False),
    ({"error": ["context is too long"]}, "context is too long", None, False),
    ({"errors": [{"message": "Rate limit reached"}]}, "Rate limit reached", None, True),
    ({"error": {"reason": "odd"}}, '{"reason": "odd"}', None, False),
    ({"error": True, "message": "odd sound"}, "odd sound", None, False),
    ({"object": "error", "message": "too long", "code": 400}, "too long", 400, False),
    ({"object": "error", "message": "wait", "code": 500}, "wait", 500, True),
    ({"detail": "Not authenticated"}, "Not authenticated", None, False),
    ({"detail": [{"msg": "field required"}]}, "field required", None, False),
    ({"code": 40001, "msg": "bad sound", "data": None}, "bad sound", None, False),
    ({"choices": [{"error": {"code": 502, "message": "upstream"}}]}, "upstream", 502, True),
    ({"error": {"message": "pay", "code": "insufficient_quota"}}, "pay", None, False),
]


@pytest.mark.parametrize(("body", "words", "status", "retryable"), ERRORS, ids=str)
def test_error_is_quoted_and_retried_only_if_temporary(
    service: Service, body: Any, words: str, status: int | None, *, retryable: bool
) -> None:
    service.plan = lambda *_: Answer(body=body)
    for ask in (
        lambda: list(chat(service).generate([Prompt("a")])),
        lambda: embedder(service).embed(["a"]),
    ):
        service.requests.clear()
        with pytest.raises(RemoteError, match="answered") as caught:
            ask()
        assert words in str(caught.value).replace("\\", "")
        assert (caught.value.status, caught.value.retryable) == (status, retryable)
        assert len(service.requests) == (QUICK.attempts if retryable else 1)


def test_answer_after_temporary_errors_is_returned(service: Service) -> None:
    service.plan = fail_first(2, Answer(body={"error": {"message": "busy", "code": 503}}))
    assert [r.text for r in chat(service).generate([Prompt("a")])] == [reply("a", None)]
    assert len(service.requests) == 3


def test_wrong_key_and_empty_account_are_final_errors(service: Service) -> None:
    for code in (401, "insufficient_quota"):
        service.plan = lambda *_, code=code: Answer(body={"error": {"message": "no", "code": code}})
        with pytest.raises(RemoteError) as caught:
            list(chat(service).generate([Prompt("a")]))
        assert caught.value.final


def test_answer_with_a_null_error_is_not_an_error() -> None:
    choice = {"message": {"content": "A crow."}, "finish_reason": "stop", "error": None}
    assert find_error({"error": None, "choices": [choice], "message": "", "code": 0}) is None
    assert find_error({"choices": [choice], "message": "ok", "status": "success"}) is None
    assert find_error({"data": [{"index": 0}], "code": 200, "msg": "ok"}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "choices", "data", "detail"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["error", "errors", "object", "choices", "data"]), JSON))
def test_any_json_is_accepted(answer: dict[str, Any]) -> None:
    error = find_error(answer)
    if error is not None:
        assert isinstance(error.message, str)
        assert error.status is None or 400 <= error.status < 600

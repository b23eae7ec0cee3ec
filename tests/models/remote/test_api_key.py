"""The key is sent to the service and appears in no log, error, record or file."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.remote import chat, completion, embedder, error_content, expected, response_texts
from tests.remote_service import KEY, Answer, Service, reply

from audioprobe.errors import AudioProbeError, InvalidInputError, RemoteError
from audioprobe.io.json_codec import to_json
from audioprobe.models.cached import CachedModel
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.models.embedders.openai import OpenAIEmbedder
from audioprobe.types import Prompt

TEXTS = [f"question {n}" for n in range(12)]
PROMPTS = [Prompt(text) for text in TEXTS]
ANSWERS = [reply(text, None) for text in TEXTS]


def test_key_is_in_no_log_error_or_file(
    service: Service, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    model = chat(service)
    cached = CachedModel(model, tmp_path / "cache.sqlite")
    list(cached.generate(PROMPTS[:2]))
    echo = f"Incorrect API key provided: {KEY}."
    refused = completion({"content": None, "refusal": echo})
    shown = []
    for answer in (
        Answer(401, {"error": {"message": echo}}, {"X-Echo": KEY}),
        Answer(500, KEY.encode()),
        Answer(body=KEY.encode()),
        Answer(body={"choices": KEY}),
        Answer(body=refused),
        Answer(body=completion({"content": None}, KEY)),
        Answer(body={"error": {"message": echo, "code": KEY}}),
        Answer(307, {}, {"Location": f"/v1/{KEY}/chat/completions"}),
    ):
        service.plan = lambda *_, answer=answer: answer
        with pytest.raises(RemoteError) as caught:
            response_texts(model, PROMPTS[:1])
        shown.append(error_content(caught.value))
    assert "[key]" in shown[0]
    assert KEY in service.headers[0]["authorization"]
    contents = [*shown, caplog.text, repr(model), to_json(model.info)]
    contents += [pickle.dumps(thing).decode("latin-1") for thing in (model, cached, model.info)]
    contents += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert all(KEY not in text for text in contents)


def test_key_is_in_no_log_or_error(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    service.plan = lambda *_: Answer(401, echo, {"X-Echo": KEY, "X-Request-Id": KEY})
    remote = embedder(service)
    with pytest.raises(AudioProbeError) as caught:
        remote.embed(["a"])
    assert KEY in service.headers[0]["authorization"]  # it was sent
    shown = error_content(caught.value)
    assert "[key]" in shown
    contents = [
        shown,
        caplog.text,
        repr(remote),
        to_json(remote.info),
        pickle.dumps(remote).decode("latin-1"),
        pickle.dumps(remote.info).decode("latin-1"),
    ]
    assert "X-Echo" in caplog.text  # the headers that came back are logged, without the key
    assert all(KEY not in text for text in contents)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}@localhost/v1",
        f"http://localhost/v1?key={KEY}",
        f"http://localhost/v1#{KEY}",
        f"http://localhost:{KEY}/v1",
        f"http://[{KEY}/v1",
        "localhost",
        "",
    ],
)
def test_invalid_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidInputError, match="base_url must") as caught:
        OpenAIEmbedder(base_url=url)
    assert KEY not in error_content(caught.value)


def test_pickled_copy_holds_no_key(service: Service) -> None:
    remote = embedder(service)
    remote.embed(["a"])
    content = pickle.dumps(remote)
    assert KEY.encode() not in content
    np.testing.assert_array_equal(pickle.loads(content).embed(["b"]), expected(["b"]))


def test_key_is_required_for_openai_only(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(RemoteError, match="set the environment variable OPENAI_API_KEY"):
        OpenAIEmbedder().embed(["a"])
    embedder(service).embed(["a"])


@pytest.mark.parametrize("later", [None, "another-key"])
def test_key_is_redacted_after_the_environment_changed(
    service: Service, monkeypatch: pytest.MonkeyPatch, later: str | None
) -> None:
    remote = embedder(service)
    remote.embed(["a"])
    if later is None:
        monkeypatch.delenv("OPENAI_API_KEY")
    else:
        monkeypatch.setenv("OPENAI_API_KEY", later)
    service.plan = lambda *_: Answer(401, {"error": {"message": f"no such key: {KEY}"}})
    with pytest.raises(RemoteError, match=r"no such key: \[key\]") as caught:
        remote.embed(["b"])
    assert KEY not in error_content(caught.value)


@pytest.mark.parametrize("body", [f"<p>{KEY}</p>".encode(), {"data": KEY}, {"error": KEY}])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_key_in_any_answer_is_redacted(service: Service, status: int, body: object) -> None:
    service.plan = lambda *_: Answer(status, body)
    with pytest.raises(RemoteError) as caught:
        embedder(service).embed(["a"])
    assert KEY not in error_content(caught.value)


def test_spaces_around_the_key_are_removed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    embedder(service).embed(["a"])
    assert service.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("character", ["é", "\n", "\x07"])
def test_invalid_key_is_refused_without_showing_it(
    service: Service, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}{character}{KEY}")
    with pytest.raises(InvalidInputError, match="OPENAI_API_KEY contains") as caught:
        embedder(service).embed(["a"])
    assert KEY not in error_content(caught.value)
    assert not service.requests


def test_cache_holds_no_key(service: Service, tmp_path: Path) -> None:
    cached = CachedEmbedder(embedder(service), tmp_path / "cache.sqlite")
    cached.embed(["a", "b"])
    assert KEY.encode() not in pickle.dumps(cached)
    files = list(tmp_path.iterdir())
    assert files
    assert all(KEY.encode() not in path.read_bytes() for path in files)

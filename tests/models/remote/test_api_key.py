"""The key is sent to the service and appears in no log, error, record or file."""

import logging
import pickle
from pathlib import Path

import pytest
from tests.remote import chat, completion, error_content, response_texts
from tests.remote_service import KEY, Answer, Service, reply

from audioprobe.errors import RemoteError
from audioprobe.io.json_codec import to_json
from audioprobe.models.cached import CachedModel
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

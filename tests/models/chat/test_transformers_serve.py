"""`OpenAIChat` with a real server: `transformers serve` with tiny random models."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.processes import BRAKED, SETTINGS
from tests.signals import sweep
from tests.tiny_chat_models import saved
from tokenizers import pre_tokenizers

from audioprobe.errors import RemoteError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.testing import check_language_model
from audioprobe.types import Decoding, Example, Prompt, Response, Waveform

SERVE = "import sys; from transformers.cli.transformers import app; sys.argv[0] = 'serve'; app()"
LONGEST_START_S = 60.0  # five where the machine is idle
SHORT = Decoding(max_new_tokens=12)
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())  # the first tokens of the tiny models
LETTERS = {"logit_bias": {str(n): 100.0 for n, c in enumerate(ALPHABET) if "a" <= c <= "z"}}
"""Random weights would write anything, white space alone included; so they write letters."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    command = ["serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", BRAKED + SERVE, *command],
            stdout=stream,
            stderr=stream,
            env=os.environ | SETTINGS,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LONGEST_START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def chirp(end: float, seconds: float = 1.0) -> Waveform:
    samples = sweep(int(22_050 * seconds), 22_050, 200, end, 0.5)
    return Waveform(samples.numpy(), 22_050)


def n_prompt(response: Response) -> int:
    n = response.details["prompt_tokens"]
    assert isinstance(n, int)
    return n


@pytest.fixture
def model(url: str) -> OpenAIChat:
    return OpenAIChat(str(saved("qwen2-audio")), base_url=url, concurrency=2, extra_body=LETTERS)


def test_served_audio_model_uses_the_audio(model: OpenAIChat) -> None:
    support = model.check_audio_support()
    assert support.supported is True
    assert "audio of 6 s" in support.evidence
    prompts = [Prompt("What is it?", chirp(end)) for end in (400, 2000, 8000)]
    prompts += [Prompt("What is it?"), Prompt("And now?", chirp(400))]
    answers = list(model.generate(prompts, SHORT))
    assert len({answer.text for answer in answers}) == 5
    assert {answer.finish for answer in answers} == {"length"}
    counts = [n_prompt(answer) for answer in answers]
    assert counts[0] == counts[1] == counts[2] > counts[3]


def test_examples_and_system_message_reach_the_served_model(url: str, model: OpenAIChat) -> None:
    shown = Example("And this?", "rain", chirp(2000))
    folder = str(saved("qwen2-audio"))
    brief = OpenAIChat(folder, system="Be brief.", base_url=url, extra_body=LETTERS)
    prompt = Prompt("What is it?", chirp(400))
    taught = Prompt("What is it?", chirp(400), (shown,))
    plain, with_example = model.generate([prompt, taught], SHORT)
    [three] = brief.generate([prompt], SHORT)
    n_one, n_two, n_three = (n_prompt(response) for response in (plain, with_example, three))
    assert n_two > n_one + 25
    assert n_three != n_one
    assert len({plain.text, with_example.text, three.text}) == 3


class Brief(OpenAIChat):
    """The model with short answers by default, because 400 tokens take long."""

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return super().generate(prompts, decoding or SHORT)


def test_contract_of_language_models(url: str) -> None:
    check_language_model(Brief(str(saved("qwen2-audio")), base_url=url, extra_body=LETTERS))


def test_served_text_model_is_detected(url: str) -> None:
    text_model = OpenAIChat(str(saved("llama")), base_url=url, extra_body=LETTERS)
    [text] = text_model.generate([Prompt("What is it?")], SHORT)
    assert text.text
    support = text_model.check_audio_support()
    assert support.supported is False, support
    with pytest.raises(RemoteError, match="audio does not reach"):
        list(text_model.generate([Prompt("What is it?", chirp(400))], SHORT))


def test_error_of_the_server_is_raised(url: str, model: OpenAIChat) -> None:
    drawn = Decoding(max_new_tokens=2, temperature=1.0, top_k=3)
    with pytest.raises(RemoteError, match=r"Unexpected fields in the request.*top_k") as caught:
        list(model.generate([Prompt("What is it?")], drawn))
    assert caught.value.status == 422

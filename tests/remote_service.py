"""A real OpenAI-compatible service on this machine, with configurable errors.

It embeds texts and answers chats by simple formulas. Its answers contain the length, rate and level
of the audio, and its token counts grow with the audio.
"""

import base64
import hashlib
import io
import json
import re
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

import numpy as np

KEY = "sk-test-4f9a-do-not-leak"
TOKENS_PER_SECOND = 25


def vector(text: str) -> list[float]:
    """Return the embedding of a text: simple, and different for different texts."""
    codes = [ord(character) for character in text]
    return [1.0, float(len(codes)), float(sum(codes) % 1009), float(codes[0] if codes else 0)]


@dataclass
class Answer:
    """An HTTP answer.

    Attributes:
        body: None is the correct answer; bytes are sent unchanged, other values as JSON.
        n_missing: bytes at the end that are not sent.
        drip_s: pause after each byte of the body, or of headers and body with `drips_headers`.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    n_missing: int = 0
    drip_s: float = 0.0
    drips_headers: bool = False


@dataclass
class Service:
    """The requests that the server received, and how it answers.

    Attributes:
        plan: returns the answer, given the number of the request (from 0) and its texts.
        audio: False ignores audio; "constant" adds the same number of tokens for every sound.
        counts: False reports no usage.
        max_concurrent: largest number of requests in progress at once.
    """

    plan: Callable[[int, list[str]], Answer] = lambda _n, _texts: Answer()
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    audio: bool | str = True
    counts: bool = True
    n_in_progress: int = 0
    max_concurrent: int = 0

    @property
    def texts(self) -> list[str]:
        """All texts received, in order of arrival."""
        return [text for request in self.requests for text in texts_of(request)]


def texts_of(request: dict[str, Any]) -> list[str]:
    """Return the texts to embed, or the last question of a chat."""
    if "input" in request:
        return list(request["input"])
    if "messages" not in request:
        return []
    questions = [m for m in request["messages"] if m["role"] == "user"]
    return [text_of(questions[-1])]


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def sounds_of(message: dict[str, Any]) -> list[tuple[np.ndarray[Any, Any], int]]:
    """Return samples in [-1, 1) and rate of each sound of a message."""
    sounds = []
    for part in message["content"] if isinstance(message["content"], list) else ():
        if part["type"] == "input_audio":
            assert part["input_audio"]["format"] == "wav"
            content = base64.b64decode(part["input_audio"]["data"], validate=True)
            with wave.open(io.BytesIO(content)) as file:
                assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
                sounds.append((samples, file.getframerate()))
    return sounds


def reply(question: str, samples: np.ndarray[Any, Any] | None, rate: int = 1) -> str:
    """Return the answer to a question about a sound."""
    if samples is None:
        return f"{question} (no audio)"
    return f"{question} ({samples.size / rate:.3f} s at {rate} Hz, level {samples.mean():.4f})"


def pieces(text: str) -> list[str]:
    """Return the tokens: words with the space before them, and single other characters."""
    return re.findall(r" ?\w+|\s|[^\w\s]", text)


def log_probability(before: str, token: str) -> float:
    """Return an arbitrary but fixed log-probability of a token after a text, in nats."""
    digest = hashlib.sha256(f"{before}|{token}".encode()).digest()
    return -0.05 - digest[0] / 64


def completion(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Return the correct answer to a chat, in OpenAI's format."""
    messages = request["messages"]
    last = next(m for m in reversed(messages) if m["role"] == "user")
    sounds = [s for m in messages for s in sounds_of(m)] if service.audio else []
    about = sounds_of(last) if service.audio else []
    text = reply(text_of(last), *about[0]) if about else reply(text_of(last), None)
    counted = [1.0 if service.audio == "constant" else s.size / rate for s, rate in sounds]
    n_prompt = sum(len(pieces(text_of(m))) + 4 for m in messages)
    n_prompt += sum(round(seconds * TOKENS_PER_SECOND) for seconds in counted)
    limit: int = request["max_tokens"]
    tokens = pieces(text)
    body: dict[str, Any] = {
        "object": "chat.completion",
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "".join(tokens[:limit])},
                "finish_reason": "length" if len(tokens) > limit else "stop",
            }
        ],
    }
    if service.counts:
        n_new = min(limit, len(tokens))
        usage = {"prompt_tokens": n_prompt, "completion_tokens": n_new}
        body["usage"] = usage | {"total_tokens": n_prompt + n_new}
    if "prompt_logprobs" in request:
        body["prompt_logprobs"] = prompt_logprobs(request)
    if "structured_outputs" in request:
        choices = request["structured_outputs"]["choice"]
        body["choices"][0]["message"]["content"] = choices[len(text) % len(choices)]
        body["choices"][0]["finish_reason"] = "stop"
    return body


def prompt_logprobs(request: dict[str, Any]) -> list[dict[str, Any] | None]:
    """Return every token of the prompt in the format of vLLM's `prompt_logprobs`."""
    assert request["continue_final_message"] is True
    assert request["add_generation_prompt"] is False
    sounds = [s for m in request["messages"] for s in sounds_of(m)]
    before = "".join(f"{samples.size}:{samples.mean():.4f};" for samples, _ in sounds)
    entries: list[dict[str, Any] | None] = [None]
    for message in request["messages"]:
        head = ["<|im_start|>", message["role"], "\n"]
        for token in [*head, *pieces(text_of(message))]:
            nats = log_probability(before, token)
            entry = {"17": {"logprob": nats, "rank": 3, "decoded_token": token}}
            if nats > -1:  # then it is the most probable one, and the only entry
                entry["17"]["rank"] = 1
            else:
                entry["5"] = {"logprob": -0.01, "rank": 1, "decoded_token": " the"}
            entries.append(entry)
            before += token
    return entries


def embedded(request: dict[str, Any]) -> dict[str, Any]:
    """Return the correct answer to texts, in reverse order, since only the index counts."""
    data = [
        {"object": "embedding", "index": n, "embedding": vector(text)}
        for n, text in enumerate(request["input"])
    ]
    return {"object": "list", "data": data[::-1], "usage": {"prompt_tokens": 1}}


def correct_answer(service: Service, path: str, request: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/embeddings"):
        return embedded(request)
    assert path.endswith("/chat/completions"), path
    return completion(service, request)


class Dripping(io.BufferedIOBase):
    """A stream that pauses after each byte."""

    def __init__(self, file: BinaryIO | io.BufferedIOBase, pause_s: float) -> None:
        self._file = file
        self._pause_s = pause_s

    def write(self, content: Any) -> int:
        for byte in content:
            self._file.write(bytes([byte]))
            time.sleep(self._pause_s)
        return len(content)


Respond = Callable[[Service, str, dict[str, Any]], dict[str, Any]]


def _page(respond: Respond, service: Service, path: str) -> Answer:
    """Return the answer to a GET, which is a request without fields."""
    try:
        return Answer(body=respond(service, path, {}))
    except LookupError:
        return Answer(404, {"detail": "Not Found"})


@contextmanager
def serve(respond: Respond = correct_answer) -> Iterator[Service]:
    """Run a service on a free port of the loopback interface.

    `respond` returns the correct answer to a request.
    """
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(_page(respond, service, self.path), {})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with service.lock:
                number = len(service.requests)
                service.requests.append(request)
                service.headers.append({k.lower(): v for k, v in self.headers.items()})
                service.times.append(time.monotonic())
                service.n_in_progress += 1
                service.max_concurrent = max(service.max_concurrent, service.n_in_progress)
            try:
                self.answer(service.plan(number, texts_of(request)), request)
            finally:
                with service.lock:
                    service.n_in_progress -= 1

        def answer(self, answer: Answer, request: dict[str, Any]) -> None:
            time.sleep(answer.delay_s)
            body = answer.body
            if body is None and answer.status == 200:
                body = respond(service, self.path, request)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            if answer.drips_headers:
                self.wfile = Dripping(self.wfile, answer.drip_s)
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if answer.drip_s and not answer.drips_headers:
                self.wfile = Dripping(self.wfile, answer.drip_s)
            self.wfile.write(content[: len(content) - answer.n_missing])

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *args: object) -> None:
            """Ignore clients that close the connection early."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

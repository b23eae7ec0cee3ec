"""The proxy of an address, and requests through it."""

import os
import sys
from typing import Any

import pytest
from tests.remote import QUICK, chat, embedder, error_content
from tests.remote_service import Answer, Service, reply

from audioprobe.errors import InvalidInputError, MissingDependencyError, RemoteError
from audioprobe.models.embedders.openai import OpenAIEmbedder
from audioprobe.models.remote.connections import is_this_machine, proxy_for
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.retry import Retry
from audioprobe.types import Prompt

ONCE = Retry(attempts=1)
ELSEWHERE = "http://service.example/v1"
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        ("http://a.example/v1", {}, None),
        ("http://a.example/v1", {"HTTP_PROXY": "http://p:1"}, ("HTTP_PROXY", "http://p:1")),
        ("https://a.example/v1", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://a.example/v1", {"https_proxy": "p:1"}, ("https_proxy", "http://p:1")),
        ("https://a.example/v1", {"ALL_PROXY": "http://p:1"}, ("ALL_PROXY", "http://p:1")),
        (
            "https://a.example/v1",
            {"ALL_PROXY": "socks://p:1", "HTTPS_PROXY": "https://q:2"},  # ALL_PROXY is not used
            ("HTTPS_PROXY", "https://q:2"),
        ),
        ("http://a.example/v1", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a.example"}, None),
        ("http://b.a.example/v1", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".a.example"}, None),
        ("http://a.example/v1", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("http://a.example:8/v1", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a.example:8"}, None),
        ("http://10.1.2.3/v1", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        (
            "http://11.1.2.3/v1",
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8, b.example"},
            ("HTTP_PROXY", "http://p:1"),
        ),
        ("http://127.0.0.1:8000/v1", {"HTTP_PROXY": "nonsense://x"}, None),
        ("https://[::1]:8000/v1", {"ALL_PROXY": "http://p:1"}, None),
        ("http://localhost:8000/v1", {"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_proxy_for_address(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], expected: Any
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(url)
    assert (proxy and (proxy.source, proxy.address)) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("vllm.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("127.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("localhost.example", False),
        ("128.0.0.1", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_is_this_machine(host: str, *, expected: bool) -> None:
    assert is_this_machine(host) is expected


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value", ["nonsense://x", "socks://x:1", "ftp://x", "http://", "http://x:no", "http://[x:1"]
)
def test_invalid_proxy_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value.replace("://", "://me:secret@"))
    for make in (OpenAIChat, OpenAIEmbedder):
        with pytest.raises(InvalidInputError, match=f"in {name}, got") as caught:
            make("m", base_url=ELSEWHERE)
        assert "secret" not in error_content(caught.value)
        make("m", base_url="http://127.0.0.1:8000/v1")  # which has no proxy


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)  # as if it were not installed
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:1080")
    with pytest.raises(MissingDependencyError, match=r"of ALL_PROXY.*pip install socksio"):
        OpenAIChat("m", base_url=ELSEWHERE)


def test_this_machine_is_reached_directly(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    assert [r.text for r in chat(service).generate([Prompt("a")])] == [reply("a", None)]
    assert embedder(service).embed(["a"]).shape == (1, 4)


def test_another_machine_is_reached_through_the_proxy(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", service.url.removesuffix("/v1"))
    model = chat(service, base_url=ELSEWHERE)
    assert [r.text for r in model.generate([Prompt("a")])] == [reply("a", None)]
    assert service.headers[0]["host"] == "service.example"
    service.plan = lambda *_: Answer(407, {})
    with pytest.raises(RemoteError, match=r"answered 407.*of HTTP_PROXY.*user and password"):
        list(model.generate([Prompt("a")]))


def test_connection_error_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD.replace("://", "://me:secret@"))
    for ask in (
        lambda: list(OpenAIChat("m", base_url=ELSEWHERE, retry=ONCE).generate([Prompt("a")])),
        lambda: OpenAIEmbedder("m", base_url=ELSEWHERE, retry=ONCE).embed(["a"]),
    ):
        with pytest.raises(RemoteError, match=f"through the proxy {DEAD} of HTTP_PROXY") as caught:
            ask()
        assert caught.value.retryable
        assert "secret" not in error_content(caught.value)


def test_redirect_to_this_machine_is_sent_without_proxy(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"Location": f"{service.url}/chat/completions"}
    service.plan = lambda number, _t: Answer(307, {}, here) if number == 0 else Answer()
    monkeypatch.setenv("HTTP_PROXY", service.url.removesuffix("/v1"))
    model = chat(service, base_url=ELSEWHERE, retry=QUICK)
    assert [r.text for r in model.generate([Prompt("a")])] == [reply("a", None)]
    hosts = [headers["host"] for headers in service.headers]
    assert hosts == ["service.example", service.url.split("/")[2]]

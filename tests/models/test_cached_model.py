"""The store of responses: equal to asking, never twice, resumed after a kill."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.processes import BRAKED, ROOT, SETTINGS
from tests.remote import chat
from tests.remote_service import Answer, Service
from tests.scripted import CharacterEmbedder, ScriptedModel, sound

from audioprobe.errors import ContractError, InvalidInputError, RemoteError
from audioprobe.io.cache import SQLiteCache, key_of, scope_of
from audioprobe.models.cached import CachedModel
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.testing import check_language_model
from audioprobe.types import ComponentInfo, Decoding, Example, Prompt, Response


def echo(prompt: Prompt) -> Response:
    heard = "" if prompt.audio is None else f" {prompt.audio.samples.mean():.3f}"
    return Response(
        prompt.text + heard, "length", abstained=True, details={"n": 1, "tags": ("a", "b")}
    )


def test_it_keeps_the_contract_of_language_models(tmp_path: Path) -> None:
    check_language_model(CachedModel(ScriptedModel(echo, batch_size=3), tmp_path / "s.sqlite"))


@settings(max_examples=30, deadline=None)  # a disk may be slow
@given(
    calls=st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=4),
    batch_size=st.integers(1, 4),
)
def test_it_answers_as_the_inner_model_and_asks_each_prompt_once(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[int]], batch_size: int
) -> None:
    path = tmp_path_factory.mktemp("cache") / "store.sqlite"
    asked: Counter[str] = Counter()

    def counted(prompt: Prompt) -> Response:
        asked[prompt.text] += 1
        return echo(prompt)

    for numbers in calls:
        prompts = [Prompt(f"{n}") for n in numbers]
        model = CachedModel(ScriptedModel(counted, batch_size), path)
        assert list(model.generate(iter(prompts))) == [echo(prompt) for prompt in prompts]
        assert model.n_hits + model.n_misses == len(numbers)
    assert set(asked.values()) <= {1}


def test_whatever_can_change_an_answer_is_part_of_the_key(tmp_path: Path) -> None:
    class Named(ScriptedModel):
        def __init__(self, info: ComponentInfo) -> None:
            super().__init__(echo)
            self._info = info

        @property
        def info(self) -> ComponentInfo:
            return self._info

    one = ComponentInfo("language_model", "one")
    cases = [
        (one, Prompt("a"), None),
        (ComponentInfo("language_model", "two"), Prompt("a"), None),
        (ComponentInfo("language_model", "one", "1"), Prompt("a"), None),
        (ComponentInfo("language_model", "one", "", {"system": "x"}), Prompt("a"), None),
        (one, Prompt("a"), Decoding()),
        (one, Prompt("a"), Decoding(seed=1)),
        (one, Prompt("b"), None),
        (one, Prompt("a", sound(0.1)), None),
        (one, Prompt("a", sound(0.2)), None),
        (one, Prompt("a", sound(0.1, rate=4000, seconds=0.2)), None),
        (one, Prompt("a", None, (Example("q", "r"),)), None),
        (one, Prompt("a", None, (Example("q", "s"),)), None),
        (one, Prompt("a", None, (Example("q", "r", sound()),)), None),
        (one, Prompt("a", None, (Example("qr", ""),)), None),
    ]
    for info, prompt, decoding in cases:
        model = CachedModel(Named(info), tmp_path / "store.sqlite")
        list(model.generate([prompt], decoding))
        assert (model.n_hits, model.n_misses) == (0, 1), prompt
        list(model.generate([prompt], decoding))
        assert (model.n_hits, model.n_misses) == (1, 1)


def test_known_answers_come_while_prompts_are_still_being_read(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    list(CachedModel(ScriptedModel(echo), path).generate([Prompt("known")]))
    n_read = 0

    def prompts() -> Iterator[Prompt]:
        nonlocal n_read
        for n in range(400):
            n_read += 1
            yield Prompt("new" if n == 1 else "known")

    stream = CachedModel(ScriptedModel(echo, batch_size=8), path).generate(prompts())
    next(stream)
    assert n_read == 1
    next(stream)
    assert n_read < 80  # the inner model waited for a batch, but not for ever
    assert len(list(stream)) == 398


def test_answers_before_a_failure_are_given_and_kept_and_failures_are_not(tmp_path: Path) -> None:
    def failing(prompt: Prompt) -> Response:
        if prompt.text == "bad":
            raise RemoteError("odd")
        return echo(prompt)

    path = tmp_path / "store.sqlite"
    list(CachedModel(ScriptedModel(echo), path).generate([Prompt("b")]))
    prompts = [Prompt(text) for text in ("a", "b", "bad", "c")]
    inner = ScriptedModel(failing)
    for _ in range(2):
        stream = CachedModel(inner, path).generate(prompts)
        assert [next(stream).text for _ in range(2)] == ["a", "b"]
        with pytest.raises(RemoteError, match="odd"):
            next(stream)
    assert inner.n_asked == 3  # "a" once, "bad" twice


class Miscounting(ScriptedModel):
    """Answers fewer prompts than it takes, or more."""

    def __init__(self, change: int) -> None:
        super().__init__(echo)
        self._change = change

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        answers = list(super().generate(prompts, decoding))
        yield from answers[: self._change] if self._change < 0 else answers * 2


@pytest.mark.parametrize(("change", "words"), [(-1, "ended before"), (1, "more prompts")])
def test_a_model_that_miscounts_is_told(tmp_path: Path, change: int, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        list(CachedModel(Miscounting(change), tmp_path / "s").generate([Prompt("a"), Prompt("b")]))


def test_threads_and_copies_share_one_store(tmp_path: Path) -> None:
    model = CachedModel(ScriptedModel(echo), tmp_path / "store.sqlite")
    copy = pickle.loads(pickle.dumps(CachedModel(CharacterModel(), tmp_path / "store.sqlite")))
    prompts = [Prompt(f"{n % 5}") for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: list(model.generate(prompts)), range(8)))
    assert found == [[echo(prompt) for prompt in prompts]] * 8
    assert model.n_hits + model.n_misses == 160
    assert [r.text for r in copy.generate([Prompt("x")])] == ["x!"]


class CharacterModel(ScriptedModel):
    """One that can be sent to other processes."""

    def __init__(self) -> None:
        super().__init__(exclaim)

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("language_model", "exclaiming")


def exclaim(prompt: Prompt) -> Response:
    return Response(f"{prompt.text}!")


def test_embeddings_and_responses_may_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    embedder, model = CachedEmbedder(CharacterEmbedder(), path), CachedModel(CharacterModel(), path)
    for _ in range(2):
        assert embedder.embed(["a"]).shape == (1, 13)
        assert [r.text for r in model.generate([Prompt("a")])] == ["a!"]
    assert (embedder.n_hits, model.n_hits) == (1, 1)


def test_an_answer_of_another_form_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    prompt = Prompt("a")
    key = key_of(f"{scope_of(CharacterModel().info)}\nnull", prompt.digest())
    list(CachedModel(CharacterModel(), path).generate([prompt]))
    assert SQLiteCache(path).read([key])
    for odd in (b"\x00no response", b"{}", b"\xff"):
        path.unlink()
        SQLiteCache(path).write({key: odd})
        with pytest.raises(InvalidInputError, match="damaged answer"):
            list(CachedModel(CharacterModel(), path).generate([prompt]))


KILLED = """
import sys
from audioprobe import CachedModel, OpenAIChat, Prompt
model = CachedModel(OpenAIChat("m", base_url=sys.argv[1], concurrency=2), sys.argv[2])
for response in model.generate(Prompt(f"question {n}") for n in range(40)):
    print(response.text, flush=True)
"""


def test_after_a_kill_at_most_what_was_under_way_is_asked_again(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "store.sqlite"
    service.plan = lambda *_: Answer(delay_s=0.02)
    process = subprocess.Popen(
        [sys.executable, "-c", BRAKED + KILLED, service.url, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | SETTINGS,
    )
    assert process.stdout is not None
    n_given = sum(1 for _ in zip(range(10), process.stdout, strict=False))
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    time.sleep(0.1)  # what was sent arrives
    n_before = len(service.requests)
    assert n_given <= n_before < 40
    resumed = CachedModel(chat(service), path)
    prompts = [Prompt(f"question {n}") for n in range(40)]
    found = [r.text for r in resumed.generate(prompts)]
    assert found == [f"question {n} (nothing heard)" for n in range(40)]
    assert resumed.n_hits >= n_given
    assert n_before - resumed.n_hits <= 4  # twice the concurrency
    again = Counter(service.texts)
    assert len(again) == 40
    assert sum(again.values()) - 40 <= 4

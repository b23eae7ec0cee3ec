"""Cached models: equal to the model, each prompt asked once, resumable after a kill."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.processes import BRAKED, ROOT, SETTINGS
from tests.remote import chat
from tests.remote_service import Answer, Service
from tests.scripted import CharacterEmbedder, LevelTagger, ScriptedModel, sound

from audioprobe import CachedModel, LogLikelihood, TagCaptioner
from audioprobe.errors import ContractError, InvalidInputError, RemoteError
from audioprobe.io.cache import SQLiteCache, key_of
from audioprobe.io.json_codec import canonical_json
from audioprobe.models.cached import CachedLikelihoodModel
from audioprobe.models.embedders.cached import CachedEmbedder
from audioprobe.testing import check_language_model, check_likelihood_model
from audioprobe.types import ComponentInfo, Decoding, Example, Prompt, Response


def echo(prompt: Prompt) -> Response:
    level = "" if prompt.audio is None else f" {prompt.audio.samples.mean():.3f}"
    return Response(
        prompt.text + level, "length", abstained=True, details={"n": 1, "tags": ("a", "b")}
    )


def test_contracts_hold(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    captioner = CachedModel(TagCaptioner(LevelTagger()), path)
    check_language_model(captioner)
    assert not isinstance(captioner, CachedLikelihoodModel)
    model = CachedModel(ScriptedModel(echo, batch_size=3), path)
    assert isinstance(model, CachedLikelihoodModel)
    check_likelihood_model(model)


@settings(max_examples=20, deadline=None)  # a disk may be slow
@given(
    calls=st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=4),
    batch_size=st.integers(1, 4),
)
def test_responses_equal_those_of_the_model_and_each_prompt_is_asked_once(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[int]], batch_size: int
) -> None:
    path = tmp_path_factory.mktemp("cache") / "cache.sqlite"
    n_calls: Counter[str] = Counter()

    def counted(prompt: Prompt) -> Response:
        n_calls[prompt.text] += 1
        return echo(prompt)

    for numbers in calls:
        prompts = [Prompt(f"{n}") for n in numbers]
        model = CachedModel(ScriptedModel(counted, batch_size), path)
        assert list(model.generate(iter(prompts))) == [echo(prompt) for prompt in prompts]
        assert model.n_hits + model.n_misses == len(numbers)
    assert set(n_calls.values()) <= {1}


class Named(ScriptedModel):
    def __init__(self, info: ComponentInfo) -> None:
        super().__init__(echo)
        self._info = info

    @property
    def info(self) -> ComponentInfo:
        return self._info


def test_everything_that_can_change_a_response_is_part_of_the_key(tmp_path: Path) -> None:
    info = ComponentInfo("language_model", "one")
    cases = [
        (info, Prompt("a"), None),
        (ComponentInfo("language_model", "two"), Prompt("a"), None),
        (ComponentInfo("language_model", "one", "1"), Prompt("a"), None),
        (ComponentInfo("language_model", "one", "", {"system": "x"}), Prompt("a"), None),
        (info, Prompt("a"), Decoding()),
        (info, Prompt("a"), Decoding(seed=1)),
        (info, Prompt("b"), None),
        (info, Prompt("a", sound(0.1)), None),
        (info, Prompt("a", sound(0.2)), None),
        (info, Prompt("a", sound(0.1, rate=4000, seconds=0.2)), None),
        (info, Prompt("a", None, (Example("q", "r"),)), None),
        (info, Prompt("a", None, (Example("q", "s"),)), None),
        (info, Prompt("a", None, (Example("q", "r", sound()),)), None),
        (info, Prompt("a", None, (Example("qr", ""),)), None),
    ]
    for case_info, prompt, decoding in cases:
        model = CachedModel(Named(case_info), tmp_path / "cache.sqlite")
        list(model.generate([prompt], decoding))
        assert (model.n_hits, model.n_misses) == (0, 1), prompt
        list(model.generate([prompt], decoding))
        assert (model.n_hits, model.n_misses) == (1, 1)


def test_stored_responses_are_yielded_while_prompts_are_still_being_read(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
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
    assert n_read < 80  # the model waits for a full batch, but not forever
    assert len(list(stream)) == 398


def test_responses_before_an_error_are_stored_and_errors_are_not(tmp_path: Path) -> None:
    def failing(prompt: Prompt) -> Response:
        if prompt.text == "bad":
            raise RemoteError("odd")
        return echo(prompt)

    path = tmp_path / "cache.sqlite"
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
    """Yields fewer responses than prompts, or more."""

    def __init__(self, change: int) -> None:
        super().__init__(echo)
        self._change = change

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        answers = list(super().generate(prompts, decoding))
        yield from answers[: self._change] if self._change < 0 else answers * 2

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        return iter(())


@pytest.mark.parametrize(("change", "message"), [(-1, "ended before"), (1, "more responses")])
def test_wrong_number_of_responses_is_a_contract_error(
    tmp_path: Path, change: int, message: str
) -> None:
    model = CachedModel(Miscounting(change), tmp_path / "s")
    with pytest.raises(ContractError, match=message):
        list(model.generate([Prompt("a"), Prompt("b")]))
    assert isinstance(model, CachedLikelihoodModel)
    with pytest.raises(ContractError, match="ended before"):
        list(model.log_likelihood([Prompt("a")], ["yes"]))


class Exclaiming(ScriptedModel):
    """A model that can be pickled."""

    def __init__(self) -> None:
        super().__init__(exclaim)

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("language_model", "exclaiming")


def exclaim(prompt: Prompt) -> Response:
    return Response(f"{prompt.text}!")


def test_threads_and_pickled_copies_share_one_cache(tmp_path: Path) -> None:
    model = CachedModel(ScriptedModel(echo), tmp_path / "cache.sqlite")
    copy = pickle.loads(pickle.dumps(CachedModel(Exclaiming(), tmp_path / "cache.sqlite")))
    prompts = [Prompt(f"{n % 5}") for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda _: list(model.generate(prompts)), range(8)))
    assert responses == [[echo(prompt) for prompt in prompts]] * 8
    assert model.n_hits + model.n_misses == 160
    assert [r.text for r in copy.generate([Prompt("x")])] == ["x!"]


def test_embeddings_and_responses_may_share_a_file(tmp_path: Path) -> None:
    cache = SQLiteCache(tmp_path / "cache.sqlite")
    embedder, model = CachedEmbedder(CharacterEmbedder(), cache), CachedModel(Exclaiming(), cache)
    for _ in range(2):
        assert embedder.embed(["a"]).shape == (1, 13)
        assert [r.text for r in model.generate([Prompt("a")])] == ["a!"]
    assert (embedder.n_hits, model.n_hits) == (1, 1)


def test_stored_value_that_is_not_a_response_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    prompt = Prompt("a")
    key = key_of(f"{canonical_json(Exclaiming().info)}\nnull", prompt.digest())
    list(CachedModel(Exclaiming(), path).generate([prompt]))
    assert SQLiteCache(path).read([key])
    for content in (b"\x00no response", b"{}", b"\xff"):
        path.unlink()
        SQLiteCache(path).write({key: content})
        with pytest.raises(InvalidInputError, match="damaged value"):
            list(CachedModel(Exclaiming(), path).generate([prompt]))


PROMPTS = [Prompt(f"question {n}") for n in range(40)]
KILLED = """
import sys
from audioprobe import CachedModel, OpenAIChat, Prompt
model = CachedModel(OpenAIChat("m", base_url=sys.argv[1], concurrency=2), sys.argv[2])
for response in model.generate(Prompt(f"question {n}") for n in range(40)):
    print(response.text, flush=True)
"""


def test_after_a_kill_only_prompts_in_progress_are_asked_again(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "cache.sqlite"
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
    time.sleep(0.1)  # requests that were sent arrive
    n_before = len(service.requests)
    assert n_given <= n_before < 40
    resumed = CachedModel(chat(service), path)
    responses = [r.text for r in resumed.generate(PROMPTS)]
    assert responses == [f"question {n} (no audio)" for n in range(40)]
    assert resumed.n_hits >= n_given
    assert n_before - resumed.n_hits <= 4  # twice the concurrency
    n_requests = Counter(service.texts)
    assert len(n_requests) == 40
    assert sum(n_requests.values()) - 40 <= 4

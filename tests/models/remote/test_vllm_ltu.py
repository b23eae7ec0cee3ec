"""An LTU whose language model is on a server that answers in vLLM's recorded format."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.models.connectors.tiny_connectors import CONNECTORS, checkpoint_of
from tests.remote import QUICK, error_content
from tests.remote_service import KEY, Answer, Service
from tests.scripted import sound
from tests.vllm_service import RECORDED, VllmEngine, serve_vllm

from audioprobe.errors import InvalidInputError, RemoteError, UnsupportedInputError
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.saving import save_adapter
from audioprobe.models.ltu.serving import export_for_vllm
from audioprobe.models.remote.next_tokens import next_tokens, sequence_totals
from audioprobe.models.remote.prompt_embeddings import check_text_ids, read_logprobs, read_tokens
from audioprobe.models.remote.vllm_ltu import VllmLTU
from audioprobe.models.scripted import Scripted
from audioprobe.protocols import LikelihoodModel
from audioprobe.testing import check_likelihood_model
from audioprobe.types import Decoding, Example, Prompt

SHORT = Decoding(max_new_tokens=6)
PROMPTS = [
    Prompt("What is it?", sound(0.3)),
    Prompt("Is it {loud}?"),
    Prompt("And this?", sound(0.1), (Example("A?", "b"),)),
]


@pytest.fixture(scope="module")
def folder(checkpoint: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "llama"
    export_for_vllm(load_ltu(checkpoint, base), out)
    return out


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[tuple[Service, VllmEngine]]:
    with pytest.MonkeyPatch.context() as patch, serve_vllm(folder) as started:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.delenv("OPENAI_BASE_URL", raising=False)
        yield started


@pytest.fixture
def server(running: tuple[Service, VllmEngine]) -> tuple[Service, VllmEngine]:
    """The service of all tests, without what an earlier test changed."""
    service, engine = running
    service.plan = lambda *_: Answer()
    service.requests.clear()
    engine.name, engine.version, engine.max_length = None, "0.32.0", 2048
    engine.changes, engine.n_new = {}, None
    return service, engine


@pytest.fixture(scope="module")
def connect(running: tuple[Service, VllmEngine], checkpoint: Path, base: Path) -> Any:
    def create(**options: Any) -> VllmLTU:
        chosen = {"base": base, "base_url": running[0].url, "retry": QUICK, **options}
        return VllmLTU(checkpoint, **chosen)

    return create


@pytest.fixture(scope="module")
def shared(connect: Any) -> VllmLTU:
    """A model for all tests that create none."""
    created: VllmLTU = connect()
    return created


@pytest.fixture
def model(shared: VllmLTU, server: tuple[Service, VllmEngine]) -> VllmLTU:
    return shared


@pytest.fixture(scope="module")
def local(checkpoint: Path, base: Path) -> LTU:
    return LTU.from_pretrained(checkpoint, base=base)


def test_contract_holds(model: VllmLTU, server: tuple[Service, VllmEngine]) -> None:
    server[1].n_new = 3
    assert isinstance(model, LikelihoodModel)
    check_likelihood_model(model)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_responses_equal_those_of_the_local_model(
    model: VllmLTU, local: LTU, penalty: float
) -> None:
    decoding = replace(SHORT, repetition_penalty=penalty)
    expected = list(local.generate(PROMPTS, decoding))
    assert list(model.generate(PROMPTS, decoding)) == expected


def test_likelihoods_equal_those_of_the_local_model(model: VllmLTU, local: LTU) -> None:
    texts = ["a dog", "a door", "b", "a dog"]
    expected = list(local.log_likelihood(PROMPTS, texts))
    for row, expected_row in zip(model.log_likelihood(PROMPTS, texts), expected, strict=True):
        for value, known in zip(row, expected_row, strict=True):
            assert value.total == pytest.approx(known.total, abs=1e-4)
            assert value.n_tokens == known.n_tokens


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_choices_equal_those_of_the_local_model(
    model: VllmLTU, local: LTU, temperature: float
) -> None:
    decoding = Decoding(choices=("yes", "no", "yes, a dog"), temperature=temperature, seed=3)
    expected = list(local.generate(PROMPTS, decoding))
    for response, known in zip(model.generate(PROMPTS, decoding), expected, strict=True):
        assert response.text == known.text
        (value,), (other,) = response.details.values(), known.details.values()
        assert value == pytest.approx(other, abs=1e-4)


def test_one_request_per_beginning_of_the_continuations(
    model: VllmLTU, server: tuple[Service, VllmEngine]
) -> None:
    n_before = model.budget.n_requests
    assert list(model.log_likelihood(PROMPTS, [])) == [[], [], []]
    assert model.budget.n_requests == n_before
    list(model.log_likelihood(PROMPTS[:1], ["abc", "abd", "x"]))
    assert model.budget.n_requests - n_before == 3  # after "", "a" and "ab"
    assert all("prompt_logprobs" not in request for request in server[0].requests)


def test_continuation_without_tokens_is_an_error(model: VllmLTU) -> None:
    with pytest.raises(InvalidInputError, match="at least one token"):
        list(model.log_likelihood(PROMPTS, [""]))


def test_totals_are_sums_over_the_beginnings() -> None:
    sequences = [[1, 2, 3], [1, 2, 4], [5], [1, 2, 3]]
    steps = next_tokens(sequences, 1)
    assert [(step.prefix, step.tokens) for step in steps] == [
        ((), (1,)), ((), (5,)), ((1,), (2,)), ((1, 2), (3,)), ((1, 2), (4,)),
    ]  # fmt: skip
    logprobs = [[-1.0], [-5.0], [-0.25], [-0.5], [-2.0]]
    assert sequence_totals(sequences, steps, logprobs) == [-1.75, -3.25, -5.0, -1.75]
    assert [step.tokens for step in next_tokens(sequences, 2)] == [(1, 5), (2,), (3, 4)]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), max_size=8), st.integers(1, 4))
def test_each_pair_of_beginning_and_token_is_requested_once(
    sequences: list[list[int]], n_max: int
) -> None:
    steps = next_tokens(sequences, n_max)
    requested = [(step.prefix, token) for step in steps for token in step.tokens]
    needed = {(tuple(ids[:n]), token) for ids in sequences for n, token in enumerate(ids)}
    assert len(requested) == len(set(requested))
    assert set(requested) == needed
    assert all(len(step.tokens) <= n_max for step in steps)
    logprobs = [[-len(step.prefix) - token / 8 for token in step.tokens] for step in steps]
    expected = [sum(-n - token / 8 for n, token in enumerate(ids)) for ids in sequences]
    assert sequence_totals(sequences, steps, logprobs) == expected


def test_info_names_engine_version_and_data_type(model: VllmLTU, local: LTU) -> None:
    info = model.info
    assert (info.name, info.revision) == (local.info.name, local.info.revision)
    assert info.options["engine"] == "vLLM"
    assert info.options["engine_version"] == "0.32.0"
    assert info.options["dtype"] == "float32"


def test_unknown_version_is_recorded_as_missing(
    connect: Any, server: tuple[Service, VllmEngine]
) -> None:
    server[1].version = None
    assert connect().info.options["engine_version"] is None


def test_key_is_sent_and_never_shown(
    connect: Any, model: VllmLTU, server: tuple[Service, VllmEngine]
) -> None:
    assert server[0].headers[-1]["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(model) + json.dumps(dict(model.info.options))
    server[0].plan = lambda *_: Answer(400, {"error": {"message": f"key {KEY}", "code": 400}})
    with pytest.raises(RemoteError, match="audioprobe export") as caught:
        list(model.generate(PROMPTS[:1], SHORT))
    assert KEY not in error_content(caught.value)
    with pytest.raises(InvalidInputError, match="must not contain user"):
        connect(base_url="http://user:secret@localhost:1/v1")


@pytest.mark.parametrize("name", ["tiny-other", "ltu_tiny-0123456789abcdef-float32"])
def test_other_model_or_revision_is_refused(
    connect: Any, server: tuple[Service, VllmEngine], name: str
) -> None:
    server[1].name = name
    with pytest.raises(RemoteError, match=f"received '{name}'") as caught:
        connect()
    assert caught.value.final


def test_other_weights_under_the_same_name_are_refused(
    connect: Any, server: tuple[Service, VllmEngine]
) -> None:
    weight = server[1].model.model.norm.weight.data
    weight.mul_(1.5)
    try:
        with pytest.raises(RemoteError, match="other weights") as caught:
            connect()
    finally:
        weight.div_(1.5)
    assert caught.value.final


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "another"}, "received one of 'another'"),
        ({"system_fingerprint": "vllm-0.33.0-1"}, "changed its version"),
        ({"choices": []}, "Expected token_ids"),
    ],
)
def test_answers_of_another_server_are_refused(
    model: VllmLTU, server: tuple[Service, VllmEngine], changes: dict[str, Any], words: str
) -> None:
    server[1].changes = changes
    with pytest.raises(RemoteError, match=words):
        list(model.generate(PROMPTS[:1], SHORT))


def test_too_long_prompts_are_refused_after_earlier_responses(
    connect: Any, server: tuple[Service, VllmEngine]
) -> None:
    server[1].max_length = 200
    responses = connect().generate([PROMPTS[1], Prompt("?" * 300)], SHORT)
    assert next(responses).finish in ("stop", "length")
    with pytest.raises(UnsupportedInputError, match="context of 200 tokens"):
        next(responses)


def test_control_token_in_a_text_with_a_repetition_penalty_is_refused(model: VllmLTU) -> None:
    """The server would read "<s>" in a text as a control token."""
    penalised = replace(SHORT, repetition_penalty=1.3)
    prompt = Prompt("What is <s>?")
    assert len(list(model.generate([prompt], SHORT))) == 1
    with pytest.raises(UnsupportedInputError, match="control tokens"):
        list(model.generate([prompt], penalised))


def test_other_token_ids_on_the_server_are_refused(
    model: VllmLTU, server: tuple[Service, VllmEngine]
) -> None:
    server[1].changes = {"prompt_token_ids": [1, 2, 3]}
    with pytest.raises(RemoteError, match="token ids of the local tokenizer"):
        list(model.generate(PROMPTS[:1], replace(SHORT, repetition_penalty=1.3)))


@pytest.mark.parametrize("name", ["codes", "resampler"])
def test_connectors_whose_tokens_precede_the_text_are_served(
    base_as: Path, tmp_path: Path, name: str
) -> None:
    saved = save_adapter(checkpoint_of(base_as, CONNECTORS[name]), tmp_path / name, name=name)
    export_for_vllm(load_ltu(saved, base_as), tmp_path / "llama")
    prompts = [Prompt("What?", sound(0.3, seconds=1.0)), Prompt("What?", sound(0.01, seconds=1.0))]
    expected = list(LTU.from_pretrained(saved, base=base_as).generate(prompts, SHORT))
    with serve_vllm(tmp_path / "llama") as (service, _):
        model = VllmLTU(saved, base=base_as, base_url=service.url)
        assert list(model.generate(prompts, SHORT)) == expected


def test_transcripts_of_an_ltu_as_are_sent(
    checkpoint_as: Path, base_as: Path, whisper: Path, tmp_path: Path
) -> None:
    export_for_vllm(load_ltu(checkpoint_as, base_as), tmp_path / "llama")
    options: dict[str, Any] = {"base": base_as, "whisper": whisper, "transcriber": Scripted("hi")}
    prompts = [Prompt("What is said?", sound(0.3, seconds=1.0))]
    local = LTU.from_pretrained(checkpoint_as, **options)
    with serve_vllm(tmp_path / "llama") as (service, _):
        model = VllmLTU(checkpoint_as, base_url=service.url, **options)
        assert list(model.generate(prompts, SHORT)) == list(local.generate(prompts, SHORT))
    assert model.info.parts == local.info.parts


def test_transcriber_of_an_ltu_is_refused(connect: Any, server: object) -> None:
    with pytest.raises(InvalidInputError, match="Omit transcriber"):
        connect(transcriber=Scripted("hi"))


def test_layers_that_read_audio_are_refused(base_as: Path, tmp_path: Path) -> None:
    connector = CONNECTORS["cross-attention"]
    saved = save_adapter(checkpoint_of(base_as, connector), tmp_path / "x", name="x")
    with pytest.raises(UnsupportedInputError, match="prompt embeddings"):
        VllmLTU(saved, base=base_as, base_url="http://localhost:9/v1")


def test_openai_is_refused(connect: Any) -> None:
    with pytest.raises(InvalidInputError, match="OpenAI"):
        connect(base_url="https://api.openai.com/v1")


def test_recorded_answers_are_read() -> None:
    tokens = read_tokens(RECORDED["completion"], end=2)
    assert (tokens.ids, tokens.finish) == ((10539, 30), "stop")
    assert read_tokens(RECORDED["completion"], end=99).finish == "length"
    assert read_logprobs(RECORDED["logprobs"], [2, 17]) == pytest.approx([-23.17, -28.75], abs=0.01)
    ids = RECORDED["chat"]["prompt_token_ids"]
    check_text_ids(RECORDED["chat"], ids[3:], n_audio=3)
    with pytest.raises(RemoteError):
        check_text_ids(RECORDED["chat"], ids[4:], n_audio=3)
    with pytest.raises(RemoteError, match="logprob_token_ids"):
        read_logprobs(RECORDED["logprobs"], [3])
    for invalid in ([-1], [True], ["2"], None, [2.0]):
        with pytest.raises(RemoteError, match="token_ids"):
            read_tokens({"choices": [{"token_ids": invalid}]}, end=2)


def test_clamped_logprob_is_minus_infinity() -> None:
    answer = {"choices": [{"logprobs": {"top_logprobs": [{"token_id:4": -9999.0}]}}]}
    assert read_logprobs(answer, [4]) == [-torch.inf]

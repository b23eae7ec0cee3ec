"""VllmLTU and VllmChat with a real vLLM server, which serves `mini` on the CPU."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.vllm_environment import BuildError, real_server, vllm_command
from tests.vllm_service import RECORDED

from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.errors import RemoteError
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.serving import export_for_vllm
from audioprobe.models.remote.retry import Retry
from audioprobe.models.remote.vllm_chat import VllmChat
from audioprobe.models.remote.vllm_ltu import VllmLTU
from audioprobe.training.examples import CAPTION_QUESTION
from audioprobe.types import Decoding, Prompt

pytestmark = pytest.mark.slow

CAPTIONS = Decoding(max_new_tokens=48)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        command = vllm_command()
    except BuildError as error:
        reason = f"vLLM WAS NOT TESTED: its environment cannot be built: {error}"
        print(reason, file=sys.__stderr__)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("served")
    served = export_for_vllm(load_ltu("mini"), folder / "llama")
    with real_server(command, folder / "llama", served, folder / "log.txt") as address:
        yield address


@pytest.fixture(scope="module")
def model(url: str) -> VllmLTU:
    return VllmLTU("mini", base_url=url)


@pytest.fixture(scope="module")
def local() -> LTU:
    return LTU.from_pretrained("mini", batch_size=16)


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return [Prompt(CAPTION_QUESTION, read_waveform(clip)) for clip in Recordings().clips()]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_captions_of_the_recordings_equal_those_of_the_local_model(
    model: VllmLTU, local: LTU, prompts: list[Prompt], penalty: float
) -> None:
    decoding = replace(CAPTIONS, repetition_penalty=penalty)
    expected = list(local.generate(prompts, decoding))
    assert len(expected) == 22
    assert list(model.generate(prompts, decoding)) == expected


def test_likelihoods_equal_those_of_the_local_model(
    model: VllmLTU, local: LTU, prompts: list[Prompt]
) -> None:
    texts = ["Audio caption: a dog barks.", "Audio caption: rain.", "Yes"]
    rows = model.log_likelihood(prompts[:6], texts)
    for row, expected in zip(rows, local.log_likelihood(prompts[:6], texts), strict=True):
        for value, known in zip(row, expected, strict=True):
            assert value.total == pytest.approx(known.total, abs=1e-3)
            assert value.n_tokens == known.n_tokens


def test_choices_equal_those_of_the_local_model(
    model: VllmLTU, local: LTU, prompts: list[Prompt]
) -> None:
    decoding = Decoding(choices=("Yes", "No", "Yes, a dog."))
    expected = [response.text for response in local.generate(prompts[:6], decoding)]
    assert [response.text for response in model.generate(prompts[:6], decoding)] == expected


def test_same_seed_gives_the_same_response(model: VllmLTU, prompts: list[Prompt]) -> None:
    sampled = replace(CAPTIONS, temperature=2.0, seed=5)
    first, second = (list(model.generate(prompts[:4], sampled)) for _ in range(2))
    assert first == second
    assert first != list(model.generate(prompts[:4], replace(sampled, seed=6)))


def test_version_is_that_of_the_recorded_answers(model: VllmLTU) -> None:
    assert model.info.options["engine_version"] == RECORDED["version"]["version"]


def test_guided_choice_of_a_chat(url: str, model: VllmLTU) -> None:
    name = f"mini-{model.info.revision}-float32"
    chat = VllmChat(name, base_url=url)
    decoding = Decoding(choices=("Paris", "Berlin"))
    (response,) = chat.generate([Prompt("The capital of France is")], decoding)
    assert (response.text, response.details["guided decoding"]) == ("Paris", True)


def test_refused_requests_do_not_end_the_server(url: str, model: VllmLTU) -> None:
    chat = VllmChat("other", base_url=url, retry=Retry(attempts=1))
    with pytest.raises(RemoteError, match="does not exist"):
        list(chat.generate([Prompt("?")]))
    assert next(iter(model.generate([Prompt("Is it loud?")], CAPTIONS))).text

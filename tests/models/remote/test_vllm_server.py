"""VllmLTU and VllmChat with a real vLLM server, which serves `mini` on the CPU."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of `mini`."""
    try:
        command = vllm_command()
    except BuildError as error:
        pytest.skip(f"VLLM WAS NOT TESTED: its environment cannot be built: {error}")
    served = export_for_vllm(load_ltu("mini"), tmp_path / "llama")
    with real_server(command, tmp_path / "llama", served, tmp_path / "log.txt") as address:
        yield address


def test_mini_on_a_real_server_equals_the_local_model(server: str) -> None:
    """One test, since a server needs 4 GB, and test workers would each start their own."""
    served, local = VllmLTU("mini", base_url=server), LTU.from_pretrained("mini", batch_size=16)
    prompts = [Prompt(CAPTION_QUESTION, read_waveform(clip)) for clip in Recordings().clips()]
    assert len(prompts) == 22
    assert served.info.options["engine_version"] == RECORDED["version"]["version"]
    check_captions(served, local, prompts)
    check_likelihoods(served, local, prompts[:6])
    check_seeds(served, prompts[:4])
    check_guided_decoding(server, served)
    check_refused_request(server, served)


def check_captions(served: VllmLTU, local: LTU, prompts: list[Prompt]) -> None:
    """Greedy captions are equal, with and without a repetition penalty."""
    for penalty in (1.0, 1.3):
        decoding = replace(CAPTIONS, repetition_penalty=penalty)
        expected = list(local.generate(prompts, decoding))
        assert list(served.generate(prompts, decoding)) == expected


def check_likelihoods(served: VllmLTU, local: LTU, prompts: list[Prompt]) -> None:
    """Likelihoods are equal up to rounding, and so are choices."""
    texts = ["Audio caption: a dog barks.", "Audio caption: rain.", "Yes"]
    rows = served.log_likelihood(prompts, texts)
    for row, expected in zip(rows, local.log_likelihood(prompts, texts), strict=True):
        for value, known in zip(row, expected, strict=True):
            assert value.total == pytest.approx(known.total, abs=1e-3)
            assert value.n_tokens == known.n_tokens
    choices = Decoding(choices=("Yes", "No", "Yes, a dog."))
    expected_texts = [response.text for response in local.generate(prompts, choices)]
    assert [response.text for response in served.generate(prompts, choices)] == expected_texts


def check_seeds(served: VllmLTU, prompts: list[Prompt]) -> None:
    """The same seed gives the same responses, and another seed gives others."""
    sampled = replace(CAPTIONS, temperature=2.0, seed=5)
    first, second = (list(served.generate(prompts, sampled)) for _ in range(2))
    assert first == second
    assert first != list(served.generate(prompts, replace(sampled, seed=6)))


def check_guided_decoding(url: str, served: VllmLTU) -> None:
    """A chat on the server responds with one of the choices."""
    chat = VllmChat(f"mini-{served.info.revision}-float32", base_url=url)
    decoding = Decoding(choices=("Paris", "Berlin"))
    (response,) = chat.generate([Prompt("The capital of France is")], decoding)
    assert (response.text, response.details["guided decoding"]) == ("Paris", True)


def check_refused_request(url: str, served: VllmLTU) -> None:
    """The server answers requests after one that it refused."""
    chat = VllmChat("other", base_url=url, retry=Retry(attempts=1))
    with pytest.raises(RemoteError, match="does not exist"):
        list(chat.generate([Prompt("?")]))
    assert next(iter(served.generate([Prompt("Is it loud?")], CAPTIONS))).text

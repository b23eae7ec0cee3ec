"""LTU-AS, loaded from a checkpoint, a LLaMA and a Whisper, as users load it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden_ltuas import whisper_model

from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.ltu.audio_input import TRANSCRIBE
from audioprobe.models.ltu.model import LTU
from audioprobe.testing import check_language_model
from audioprobe.types import ComponentInfo, Decoding, Prompt, Response, Waveform

BRIEF = Decoding(max_new_tokens=8)
QUESTION = "What can be inferred from the spoken text and sounds? Why?"


class Transcriber:
    """Language model that returns the duration of audio as transcript and records its prompts."""

    info = ComponentInfo("language_model", "transcriber")

    def __init__(self) -> None:
        self.asked: list[str] = []

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        del decoding
        for prompt in prompts:
            self.asked.append(prompt.text)
            assert prompt.audio is not None
            if prompt.audio.duration < 1:
                yield Response("", abstained=True)
            else:
                yield Response(f" {prompt.audio.duration:.0f} seconds\n")


@pytest.fixture(scope="module")
def ltuas(checkpoint_as: Path, base_as: Path, whisper: Path) -> LTU:
    model = LTU.from_pretrained(checkpoint_as, base=base_as, whisper=whisper)
    # Double precision: a random model has near ties that float32's rounding would decide.
    model._net.double()
    return model


def noise(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


class Brief:
    """The model with short answers by default, for checks that generate many answers."""

    def __init__(self, model: LTU) -> None:
        self.info = model.info
        self._model = model

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return self._model.generate(prompts, decoding or BRIEF)


def test_contract_of_language_models(ltuas: LTU) -> None:
    check_language_model(Brief(ltuas))


def test_ten_seconds_become_25_audio_tokens(ltuas: LTU) -> None:
    assert ltuas._audio.encode(noise(2.0))[0].shape == (25, 64)
    (response,) = ltuas.generate([Prompt(QUESTION, noise(15.0))], BRIEF)
    assert response.details == {"truncated audio (s)": 5.0}
    first, second = (ltuas._audio.encode(noise(2.0, seed))[0] for seed in (1, 2))
    assert not torch.allclose(first, second)


@settings(max_examples=4, deadline=None)
@given(kinds=st.lists(st.sampled_from([None, 0.5, 1.0, 11.0]), min_size=2, max_size=4))
def test_batch_does_not_change_responses(ltuas: LTU, kinds: list[float | None]) -> None:
    prompts = [
        Prompt("word " * n + "?", None if seconds is None else noise(seconds, n))
        for n, seconds in enumerate(kinds)
    ]
    together = list(ltuas.generate(prompts, BRIEF))
    assert together == [next(ltuas.generate([prompt], BRIEF)) for prompt in prompts]


def test_transcript_becomes_the_input_of_the_prompt(
    checkpoint_as: Path, base_as: Path, whisper: Path
) -> None:
    writes = Transcriber()
    model = LTU.from_pretrained(checkpoint_as, base=base_as, whisper=whisper, transcriber=writes)
    texts = [
        model._tokenizer.decode(
            model._encode(Prompt(QUESTION, audio)).input_ids, skip_special_tokens=True
        )
        for audio in (noise(2.0), noise(2.0), noise(0.5), None)
    ]
    without = f"### Instruction:\n{QUESTION}\n\n### Response:\n"
    spoken = f"### Instruction:\n{QUESTION}\n\n### Input:\n2 seconds\n\n### Response:\n"
    assert texts == [spoken, spoken, without, without]
    assert writes.asked == [TRANSCRIBE] * 2, "one sound is transcribed once"
    assert model.info.parts["transcriber"] == writes.info


def test_info_has_name_and_revision_of_the_whisper(ltuas: LTU, whisper: Path) -> None:
    assert ltuas.info.options["whisper"] == whisper.name
    assert len(str(ltuas.info.options["whisper_revision"])) == 16


def test_whisper_of_another_size_raises(checkpoint_as: Path, base_as: Path, tmp_path: Path) -> None:
    whisper_model(width=32, n_blocks=4).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"width 32 with 4 blocks.*width 64 with 32 blocks"):
        LTU.from_pretrained(checkpoint_as, base=base_as, whisper=tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(WeightsError, match="expected a Whisper, found 'wav2vec2'"):
        LTU.from_pretrained(checkpoint_as, base=base_as, whisper=tmp_path)


def test_missing_whisper_raises_with_its_name(checkpoint_as: Path, base_as: Path) -> None:
    with pytest.raises(WeightsError, match="openai/whisper-large"):
        LTU.from_pretrained(checkpoint_as, base=base_as)


def test_too_short_audio_raises(ltuas: LTU) -> None:
    with pytest.raises(UnsupportedInputError, match="Expected more than"):
        list(ltuas.generate([Prompt("?", noise(0.01))], BRIEF))


def test_transcriber_for_an_ltu_raises(checkpoint: Path, base: Path) -> None:
    with pytest.raises(InvalidInputError, match="LTU takes no transcript"):
        LTU.from_pretrained(checkpoint, base=base, transcriber=Transcriber())

"""Inputs of chat models, errors about invalid inputs, and reports of truncated audio."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tests.models.chat.test_transformers_lm import BRIEF, EVERY, WITH_AUDIO, model, noise
from tests.tiny_chat_models import CHATML, granite_speech, llama, saved, tokenizer
from transformers import T5Config, T5ForConditionalGeneration

from audioprobe.errors import (
    InvalidInputError,
    MissingDependencyError,
    UnsupportedInputError,
    WeightsError,
)
from audioprobe.models.chat.loading import load_processor
from audioprobe.models.chat.model import TransformersLM
from audioprobe.types import Decoding, Example, Prompt, Waveform

# Seconds of audio that the tiny models use; None is all. The first cuts by Whisper's window,
# the second by its processor's longest sound, the third by a window that its files set to 60 s.
MAX_SECONDS = {"qwen2-audio": 30, "audio-flamingo": 60, "qwen-omni": 60}


@pytest.mark.parametrize("kind", WITH_AUDIO)
def test_truncated_audio_is_measured(kind: str) -> None:
    lm = TransformersLM(saved(kind))
    sounds = [noise(seconds, rate=8000) for seconds in (10.0, 25.0, 61.5, 70.0)]
    prompts = [Prompt("What is heard?", sound) for sound in sounds]
    answers = list(lm.generate(prompts, Decoding(max_new_tokens=1)))
    limit = MAX_SECONDS.get(kind)
    for sound, answer in zip(sounds, answers, strict=True):
        if limit is None or sound.duration <= limit:
            assert answer.details == {}
        else:
            lost = answer.details["truncated audio (s)"]
            assert lost == pytest.approx(sound.duration - limit, abs=0.02)
    if limit is not None:  # the order in which sounds come changes nothing
        again = list(
            TransformersLM(saved(kind)).generate(prompts[::-1], Decoding(max_new_tokens=1))
        )[::-1]
        assert [a.details for a in again] == [a.details for a in answers]


def test_likelihood_of_truncated_audio_warns() -> None:
    with pytest.warns(UserWarning, match=r"truncated audio \(s\): 5\.0"):
        list(model("qwen2-audio").log_likelihood([Prompt("?", noise(35))], ["a"]))


def test_silence_is_not_reported_as_truncated() -> None:
    silence = Waveform(np.zeros(20 * 16_000, np.float32), 16_000)
    (answer,) = model("qwen2-audio").generate(
        [Prompt("What?", silence)], Decoding(max_new_tokens=1)
    )
    assert answer.details == {}


@pytest.mark.parametrize("kind", WITH_AUDIO)
def test_short_audio_is_answered_or_raises_with_advice(kind: str) -> None:
    refusals = []
    for n_samples in (1, 2, 100, 161, 321, 400, 513, 800, 1600, 3200):
        sound = Waveform(np.full(n_samples, 0.1, np.float32), 16_000)
        try:
            (answer,) = model(kind).generate([Prompt("?", sound)], Decoding(max_new_tokens=1))
        except UnsupportedInputError as error:
            refusals.append((n_samples, str(error)))
    assert all(n < 3200 and "use a longer clip" in message for n, message in refusals)
    assert answer.details == {}  # of the longest


@pytest.mark.parametrize("kind", WITH_AUDIO)
def test_examples_with_audio_have_an_effect_or_raise(kind: str) -> None:
    examples = [Example("What?", "A crow.", noise(1, seed)) for seed in (1, 2)]
    prompts = [Prompt("What?", noise(1), (example,)) for example in examples]
    if kind == "audio-flamingo":
        with pytest.raises(UnsupportedInputError, match="does not take 2 audio clips"):
            list(model(kind).generate(prompts, BRIEF))
        return
    first, second = (row[0].total for row in model(kind).log_likelihood(prompts, ["a crow"]))
    assert abs(first - second) > 1e-3  # the example's sound counts
    together = list(model(kind).generate(prompts, BRIEF))
    assert together == [a for p in prompts for a in model(kind).generate([p], BRIEF)]


def test_examples_become_turns_after_the_system_text() -> None:
    lm = TransformersLM(saved("llama"), system="Be brief.")
    prompt = Prompt("Is a dog a bird?", examples=(Example("Is a crow a bird?", "Yes."),))
    ids = lm._encoder.encode(prompt).inputs["input_ids"][0]
    assert lm._encoder.tokenizer.decode(ids) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nIs a crow a bird?<|im_end|>\n"
        "<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\nIs a dog a bird?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_audio_precedes_the_question() -> None:
    lm = model("qwen-omni")
    ids = lm._encoder.encode(Prompt("What?", noise(0.1))).inputs["input_ids"][0]
    # 10 frames of 10 ms, halved twice.
    assert lm._encoder.tokenizer.decode(ids) == (
        "<|im_start|>user\n<|audio_bos|><|AUDIO|><|AUDIO|><|audio_eos|>What?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_model_without_template_gets_plain_text(tmp_path: Path) -> None:
    llama(tmp_path, template=None)
    lm = TransformersLM(tmp_path, system="Facts.")
    prompt = Prompt("A dog is", examples=(Example("A crow is", "a bird."),))
    ids = lm._encoder.encode(prompt).inputs["input_ids"][0]
    assert lm._encoder.tokenizer.decode(ids) == "Facts.\n\nA crow is\na bird.\n\nA dog is"
    assert list(lm.generate([prompt], BRIEF))


STRICT = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (STRICT + CHATML, "no system role"),
        ("{{ messages[-1]['content'] }}", "omits a part"),
        ("{{ messages[1]['nothing']['at all'] }}", "chat template cannot format"),
    ],
)
def test_template_that_drops_or_rejects_a_part_raises(
    tmp_path: Path, template: str, words: str
) -> None:
    llama(tmp_path, template=template)
    lm = TransformersLM(tmp_path, system="Be brief.")
    with pytest.raises(UnsupportedInputError, match=words):
        list(lm.generate([Prompt("What?")]))


def test_invalid_template_raises_at_construction(tmp_path: Path) -> None:
    llama(tmp_path, template="{% for m in messages %}{{ m.content ")
    with pytest.raises(WeightsError, match="chat template is invalid"):
        TransformersLM(tmp_path)


def test_advice_mentions_only_parts_of_the_prompt(tmp_path: Path) -> None:
    llama(tmp_path, template="{{ raise_exception('never') }}")
    with pytest.raises(UnsupportedInputError, match="published template") as caught:
        list(TransformersLM(tmp_path).generate([Prompt("What?")]))
    assert "examples" not in str(caught.value)


def test_template_gets_a_fixed_date(tmp_path: Path) -> None:
    asks = "{% if strftime_now is defined %}{% set day = strftime_now('%d %b %Y, %H:%M:%S.%f') %}"
    llama(tmp_path, template="\n" + asks + "{% endif %}Today: {{ day }}\n" + CHATML)
    lm = TransformersLM(tmp_path)
    ids = lm._encoder.encode(Prompt("What?")).inputs["input_ids"][0]
    text = lm._encoder.tokenizer.decode(ids)
    assert text.startswith("\nToday: 26 Jul 2024, 00:00:00.000000\n<|im_start|>user")
    assert lm.info.options["date"] == "2024-07-26"
    assert "date" not in model("llama").info.options


def test_template_of_strings_gets_audio_placeholders(tmp_path: Path) -> None:
    shutil.copytree(saved("qwen2-audio"), tmp_path / "model")
    plain = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}>"
    (tmp_path / "model" / "chat_template.jinja").write_text(plain)
    lm = TransformersLM(tmp_path / "model")
    ids = lm._encoder.encode(Prompt("What?", noise(0.1))).inputs["input_ids"][0]
    assert lm._encoder.tokenizer.decode(ids) == "user: <|AUDIO|><|AUDIO|>What?\n>"


@pytest.mark.parametrize("kind", EVERY)
def test_empty_texts_raise(kind: str) -> None:
    with pytest.raises(InvalidInputError, match="empty text"):
        list(model(kind).generate([Prompt(" ")]))
    with pytest.raises(InvalidInputError, match="at least one token"):
        list(model(kind).log_likelihood([Prompt("?")], ["yes", ""]))
    assert list(model(kind).log_likelihood([Prompt("?")], [])) == [[]]


def test_audio_for_a_text_model_raises_before_computation() -> None:
    lm = model("llama")
    calls: list[int] = []
    handle = lm._net.register_forward_pre_hook(lambda *_: calls.append(1))
    prompts = [Prompt("What?"), Prompt("What?", noise(1))]
    with_example = Prompt("?", examples=(Example("?", "a", noise(1)),))
    try:
        for batch in (prompts, [with_example]):
            with pytest.raises(UnsupportedInputError, match="takes text only"):
                list(lm.generate(batch, BRIEF))
            with pytest.raises(UnsupportedInputError, match="takes text only"):
                list(lm.log_likelihood(batch[-1:], ["a"]))
    finally:
        handle.remove()
    assert not calls


def test_prompts_beyond_the_context_raise_with_sizes() -> None:
    with pytest.raises(UnsupportedInputError, match=r"of \d{4} tokens and 6 new tokens.* 2048"):
        list(model("llama").generate([Prompt("long " * 500)], BRIEF))
    with pytest.raises(UnsupportedInputError, match="and 2048 new tokens"):
        list(model("qwen2-audio").generate([Prompt("?", noise(1))], Decoding(max_new_tokens=2048)))
    with pytest.raises(UnsupportedInputError, match="context of 2048"):
        list(model("llama").log_likelihood([Prompt("?")], ["yes" * 1000]))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"dtype": "int4"}, "dtype"), ({"batch_size": 0}, "batch_size"), ({"system": ""}, "system")],
)
def test_invalid_options_raise(options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        TransformersLM(saved("llama"), **options)  # type: ignore[arg-type]


def test_unusable_folders_raise(tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return shutil.copytree(saved("llama"), tmp_path / name)

    with pytest.raises(WeightsError, match=r"no config\.json"):
        TransformersLM(tmp_path)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
    with pytest.raises(WeightsError, match=r"adapter without its model \(some/base\)\. Merge"):
        TransformersLM(adapter)
    cut = copy("cut") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="could not be read"):
        TransformersLM(cut.parent)
    pickled = copy("pickled")
    torch.save({}, pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="safetensors"):
        TransformersLM(pickled)
    other = copy("other") / "config.json"
    other.write_text(json.dumps(json.loads(other.read_text()) | {"num_hidden_layers": 3}))
    with pytest.raises(WeightsError, match="missing"):
        TransformersLM(other.parent)
    wordless = copy("wordless")
    for file in wordless.glob("token*"):
        file.unlink()
    with pytest.raises(WeightsError, match="no tokenizer"):
        TransformersLM(wordless)


def test_encoder_decoder_model_raises(tmp_path: Path) -> None:
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 300}
    T5ForConditionalGeneration(T5Config(**sizes)).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="causal language model, found 't5'"):
        TransformersLM(tmp_path)


def test_code_in_a_model_folder_is_not_run(tmp_path: Path) -> None:
    folder = shutil.copytree(saved("llama"), tmp_path / "evil")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(WeightsError, match="never run"):
        TransformersLM(folder)
    assert not (tmp_path / "ran").exists()


def test_audio_model_without_template_raises(tmp_path: Path) -> None:
    folder = shutil.copytree(saved("qwen-omni"), tmp_path / "mute")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(WeightsError, match="Expected a chat template"):
        TransformersLM(folder)


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Granite Speech needs torchaudio, which does not exist for all versions of torch."""
    granite_speech().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    settings = {"feature_extractor_type": "GraniteSpeechFeatureExtractor"}
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(settings | {"processor_class": "GraniteSpeechProcessor"})
    )
    monkeypatch.setattr("transformers.utils.import_utils.is_torchaudio_available", lambda: False)
    with pytest.raises(MissingDependencyError, match="torchaudio"):
        TransformersLM(tmp_path)


def test_missing_mistral_common_raises_with_the_pip_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = "audioprobe.models.chat.loading.is_mistral_common_available"
    monkeypatch.setattr(home, lambda: False)
    with pytest.raises(MissingDependencyError, match="pip install mistral-common"):
        TransformersLM(saved("voxtral"))


def test_processor_is_loaded_without_vision_parts() -> None:
    processor = load_processor(saved("qwen-omni"), model("qwen-omni")._net)
    assert isinstance(processor, transformers.Qwen2_5OmniProcessor)
    assert processor.image_processor is None  # pictures would need torchvision

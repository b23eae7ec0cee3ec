"""LTU, loaded from a tiny checkpoint and a base folder in the authors' formats."""

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.golden_ltu import (
    golden,
    spectrograms,
    tiny_base,
    tiny_net,
    tiny_trainable,
)
from tests.signals import chirp_10s

from audioprobe import CaptionClassifier, ClassificationResult, KeywordScorer, Windowing
from audioprobe.errors import (
    InvalidInputError,
    OutOfMemoryError,
    UnsupportedInputError,
    WeightsError,
)
from audioprobe.models.causal_lm.loading import read_tensors
from audioprobe.models.ltu import audio_input
from audioprobe.models.ltu.decoding import DECODINGS, DEMO, PAPER
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.trainable import TEMPLATE
from audioprobe.testing import check_likelihood_model
from audioprobe.types import Decoding, Example, Prompt, Response, Waveform

BRIEF = Decoding(max_new_tokens=8)


@pytest.fixture(scope="module")
def ltu(base: Path, checkpoint: Path) -> LTU:
    return LTU.from_pretrained(checkpoint, base=base)


def noise(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


def test_audio_tokens_of_a_published_checkpoint_equal_the_original(ltu: LTU) -> None:
    tokens, _ = ltu._audio.encode(Waveform(chirp_10s().numpy(), 16_000))
    torch.testing.assert_close(tokens, golden()["audio_tokens"][0], atol=1e-4, rtol=0)


class Brief:
    """The model with short answers by default, for checks that generate many answers."""

    def __init__(self, model: LTU) -> None:
        self.info = model.info
        self.log_likelihood = model.log_likelihood
        self._model = model

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return self._model.generate(prompts, decoding or BRIEF)


def test_contract_of_likelihood_models(base: Path, checkpoint: Path) -> None:
    # Double precision: a random model has near ties that float32's rounding would decide.
    model = LTU.from_pretrained(checkpoint, base=base, batch_size=3)
    model._net.double()
    check_likelihood_model(Brief(model))


def test_response_has_new_text_only_and_its_finish(ltu: LTU) -> None:
    (response,) = ltu.generate([Prompt("What is heard?", noise(1.0))], BRIEF)
    assert "Instruction" not in response.text
    assert response.finish == "length"
    assert response.details == {}


def test_likelihoods_equal_full_passes_of_the_network(ltu: LTU) -> None:
    prompt = Prompt("Is it a crow?", noise(1.0))
    texts = ["yes", "crow", "crow calling", "a crow"]  # the second begins the third
    (actual,) = ltu.log_likelihood([prompt], texts)
    encoded = ltu._encode(prompt)
    for text, likelihood in zip(texts, actual, strict=True):
        ids = [
            *encoded.input_ids.tolist(),
            *ltu._tokenizer(text, add_special_tokens=False).input_ids,
        ]
        whole = torch.tensor([ids])
        assert encoded.audio_tokens is not None
        with torch.inference_mode():
            logits = tiny_net()(whole, encoded.audio_tokens[None])
        scores = logits[0, :-1].log_softmax(-1).gather(-1, whole[0, 1:, None])
        assert likelihood.total == pytest.approx(float(scores[-len(text) :].sum()), abs=1e-4)
        assert likelihood.n_tokens == len(text)


@pytest.mark.parametrize(
    "texts",
    [
        ["Labels: crow", "Labels: crowd", "Labels: a dog"],
        ["Labels: crow", "Labels: crow"],
        ["Labels: crow", "A dog"],
        ["a", "b"],
    ],
)
def test_likelihoods_do_not_depend_on_the_other_continuations(ltu: LTU, texts: list[str]) -> None:
    prompt = Prompt("Hi")
    (together,) = ltu.log_likelihood([prompt], texts)
    for text, likelihood in zip(texts, together, strict=True):
        ((alone,),) = ltu.log_likelihood([prompt], [text])
        assert likelihood.total == pytest.approx(alone.total, abs=1e-4)
        assert likelihood.n_tokens == alone.n_tokens


def test_audio_is_encoded_once_for_several_questions(ltu: LTU) -> None:
    calls = []
    handle = ltu._net.prefix.encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        sound = noise(2.0, seed=99)
        list(ltu.generate([Prompt(f"Question {n}?", sound) for n in range(5)], BRIEF))
    finally:
        handle.remove()
    assert len(calls) == 1


def test_truncated_audio_is_reported(ltu: LTU) -> None:
    long = noise(15.0)
    (response,) = ltu.generate([Prompt("?", long)], BRIEF)
    assert response.details == {"truncated audio (s)": 4.76}
    with pytest.warns(UserWarning, match=r"truncated audio \(s\): 4\.76"):
        list(ltu.log_likelihood([Prompt("?", long)], ["a"]))


def test_text_examples_use_the_prompt_template(ltu: LTU) -> None:
    prompt = Prompt("Is a dog a bird?", examples=(Example("Is a crow a bird?", "Yes."),))
    text = ltu._tokenizer.decode(ltu._encode(prompt).input_ids, skip_special_tokens=True)
    first, second = (TEMPLATE.format(q) for q in ("Is a crow a bird?", "Is a dog a bird?"))
    assert text == f"{first}Yes.\n\n{second}"


def test_decodings_of_the_originals_are_presets() -> None:
    assert (PAPER.top_k, PAPER.repetition_penalty) == (500, 1.1)
    assert (DEMO.top_k, DEMO.repetition_penalty) == (50, 1.0)
    assert PAPER.temperature == DEMO.temperature == 0.1
    assert DECODINGS["paper"] is PAPER
    assert DECODINGS["demo-as"].max_new_tokens == 500
    assert DECODINGS["greedy"] == Decoding()


def test_cache_keeps_the_latest_audio_only(ltu: LTU, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_input, "_CACHED_CLIPS", 4)
    ltu._audio.cache.clear()
    for seed in range(6):
        ltu._audio.encode(noise(0.1, seed=1000 + seed))
    assert len(ltu._audio.cache) == 4
    assert noise(0.1, seed=1005).digest() in ltu._audio.cache
    assert noise(0.1, seed=1000).digest() not in ltu._audio.cache


def test_caption_classifier_accepts_an_ltu(ltu: LTU) -> None:
    classifier = CaptionClassifier(ltu, KeywordScorer(), decoding=BRIEF)
    result = classifier([noise(1.0), noise(2.0)], ["crow", "rain"])
    assert len(result.captions) + len(result.failures) == 2
    assert result.provenance.components["model"].options["base"].startswith("vicuna_tiny")  # type: ignore[union-attr]


def test_truncated_audio_is_stored_with_the_caption(ltu: LTU) -> None:
    reading = Windowing(seconds=15.0)
    classifier = CaptionClassifier(ltu, KeywordScorer(), decoding=BRIEF, windowing=reading)
    result = classifier([noise(15.0)], ["crow"])
    assert [caption.details for caption in result.captions] == [{"truncated audio (s)": 4.76}]
    copy = ClassificationResult.from_json(result.to_json())
    assert copy.captions == result.captions
    assert "truncated audio (s): 4.76" in result.to_csv()


def test_continuations_may_share_a_prefix_and_must_not_be_empty(ltu: LTU) -> None:
    labels = ["crow", "crow calling", "cro", "crow"]
    prompt = Prompt("Which?", noise(1.0))
    (together,) = ltu.log_likelihood([prompt], labels)
    for label, actual in zip(labels, together, strict=True):
        ((alone,),) = ltu.log_likelihood([prompt], [label])
        assert actual.total == pytest.approx(alone.total, abs=1e-4)
    assert together[1].total < together[0].total < together[2].total
    with pytest.raises(InvalidInputError, match="at least one token"):
        list(ltu.log_likelihood([prompt], ["crow", ""]))
    assert list(ltu.log_likelihood([prompt], [])) == [[]]


def test_batch_beyond_memory_is_halved_with_the_same_responses(ltu: LTU) -> None:
    """Every pass over more than one prompt fails like a GPU without free memory."""
    prompts = [Prompt(f"Question {n}?", noise(1.0, seed=n)) for n in range(3)]
    expected = list(ltu.generate(prompts, BRIEF))

    def fail(_: object, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = ltu._net.llama.lm_head.register_forward_pre_hook(fail)
    try:
        with pytest.warns(UserWarning, match="continuing with batches of 1"):
            assert list(ltu.generate(prompts, BRIEF)) == expected
    finally:
        handle.remove()


@pytest.mark.parametrize("where", ["prefix", "llama.model"])
def test_single_prompt_beyond_memory_raises_with_advice(ltu: LTU, where: str) -> None:
    """Either the audio prefix or the language model fails like a GPU without free memory."""

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    prompt = Prompt("?", noise(1.0, seed=77))
    ltu._audio.cache.clear()
    handle = ltu._net.get_submodule(where).register_forward_pre_hook(fail)
    try:
        for stream in (ltu.generate([prompt], BRIEF), ltu.log_likelihood([prompt], ["crow"])):
            with pytest.raises(OutOfMemoryError, match="Use a shorter prompt"):
                list(stream)
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("prompt", "error", "words"),
    [
        (Prompt(" "), InvalidInputError, "empty text"),
        (Prompt("?", noise(0.01)), UnsupportedInputError, "shorter than one"),
        (
            Prompt("?", examples=(Example("?", "a", noise(1.0)),)),
            UnsupportedInputError,
            "one audio clip",
        ),
        (Prompt("long " * 500), UnsupportedInputError, "context of 2048"),
    ],
)
def test_unsupported_prompts_raise(
    ltu: LTU, prompt: Prompt, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        list(ltu.generate([prompt], BRIEF))


def test_full_fine_tune_needs_no_weights_of_the_base(base: Path, tmp_path: Path, ltu: LTU) -> None:
    whole = {f"base_model.model.{k}": v for k, v in tiny_base().items()} | tiny_trainable()
    torch.save(whole, tmp_path / "full_ft.bin")
    for file in base.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    full = LTU.from_pretrained(tmp_path / "full_ft.bin", base=tmp_path)
    prompts = [Prompt("What is heard?", noise(1.0))]
    assert list(full.generate(prompts, BRIEF)) == list(ltu.generate(prompts, BRIEF))


def test_stage_one_checkpoint_without_lora_loads(base: Path, tmp_path: Path) -> None:
    stage_one = {k: v for k, v in tiny_trainable().items() if "lora" not in k}
    save_file(stage_one, tmp_path / "stage1.safetensors")
    model = LTU.from_pretrained(tmp_path / "stage1.safetensors", base=base)
    assert model._net.config.lora_rank == 0
    assert list(model.generate([Prompt("?", noise(1.0))], BRIEF))


def test_damaged_or_malicious_checkpoints_raise(base: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "executed",))  # type: ignore[return-value]

    evil = tmp_path / "evil.bin"
    torch.save({"weight": Evil()}, evil)
    with pytest.raises(WeightsError, match=r"evil\.bin"):
        read_tensors(evil)
    evil.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError):
        read_tensors(evil)
    assert not (tmp_path / "executed").exists()
    with pytest.raises(WeightsError, match="no such file"):
        LTU.from_pretrained(tmp_path / "none.bin", base=base)
    cut = tmp_path / "cut.safetensors"
    save_file(tiny_trainable(), cut)
    cut.write_bytes(cut.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="could not be read"):
        LTU.from_pretrained(cut, base=base)
    torch.save([1, 2], tmp_path / "list.bin")
    with pytest.raises(WeightsError, match="flat dictionary"):
        read_tensors(tmp_path / "list.bin")


def test_wrong_base_or_base_as_checkpoint_raises(
    base: Path, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(WeightsError, match="expected a LLaMA, found 'gpt2'"):
        LTU.from_pretrained(checkpoint, base=tmp_path)
    with pytest.raises(WeightsError, match="Pass the checkpoint that"):
        LTU.from_pretrained(base / "model.safetensors", base=base)


def test_bfloat16_audio_tokens_are_close_to_float32(base: Path, checkpoint: Path, ltu: LTU) -> None:
    half = LTU.from_pretrained(checkpoint, base=base, dtype="bfloat16")
    sound = Waveform(chirp_10s().numpy(), 16_000)
    expected, actual = (
        ltu._audio.encode(sound)[0].flatten(),
        half._audio.encode(sound)[0].float().flatten(),
    )
    assert torch.cosine_similarity(expected, actual, dim=0) > 0.999
    assert half.info != ltu.info
    assert spectrograms().dtype == torch.float32
    with pytest.raises(InvalidInputError, match="dtype"):
        LTU.from_pretrained(checkpoint, base=base, dtype="int4")


def test_questions_about_a_clip_are_answered_in_one_batch(base: Path, checkpoint: Path) -> None:
    """Four clips in turn, in batches of twice 4; without groups, each batch has a row per clip."""
    model = LTU.from_pretrained(checkpoint, base=base, batch_size=4)
    rows: list[int] = []

    def record(_: object, __: object, kwargs: dict[str, torch.Tensor]) -> None:
        n_rows, n_positions = kwargs["inputs_embeds"].shape[:2]
        if n_positions > 1:  # not the last word of each question
            rows.append(n_rows)

    prompts = [Prompt(f"Question {n}?", noise(1.0, clip)) for n in range(8) for clip in range(4)]
    with model._net.llama.model.register_forward_pre_hook(record, with_kwargs=True):
        list(model.generate(prompts, Decoding(max_new_tokens=1)))
    assert sum(rows) == 4 + 2 + 2 + 3

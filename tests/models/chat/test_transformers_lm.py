"""Tiny chat models of each architecture, loaded from disk as users load them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.tiny_chat_models import KINDS, saved
from transformers import AutoModelForMultimodalLM, AutoModelForSeq2SeqLM, AutoProcessor

from audioprobe import load
from audioprobe.models.causal_lm.batch_inputs import stack_inputs
from audioprobe.models.chat.model import TransformersLM
from audioprobe.testing import check_likelihood_model
from audioprobe.types import Decoding, Example, LogLikelihood, Prompt, Response, Waveform

Answer = Response | Sequence[LogLikelihood]
BRIEF = Decoding(max_new_tokens=6)
PENALISED = Decoding(max_new_tokens=6, repetition_penalty=1.5)
SAMPLED = Decoding(max_new_tokens=6, temperature=1.0, top_p=0.9, top_k=20, seed=5)
TEXT_ONLY = ("llama", "gemma3n-text", "mamba", "rwkv")
TEXTS = [
    Prompt("Why?"),
    Prompt("Is rain on a tin roof a loud sound?"),
    Prompt("Is a dog a bird?", examples=(Example("Is a crow a bird?", "Yes."),)),
]


def noise(seconds: float, seed: int = 0, rate: int = 16_000) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * rate))
    return Waveform(values.astype(np.float32), rate)


AUDIO_PROMPTS = [
    Prompt("What is heard?", noise(1.0)),
    Prompt("Which animal calls in this recording?", noise(3.3, 1)),
    Prompt("Which?", noise(1.0, 2)),
    Prompt("What?", noise(2.0, 3, 22_050)),
]


EVERY = list(KINDS)
WITH_AUDIO = [name for name in KINDS if name not in TEXT_ONLY]


@cache
def model(kind: str) -> TransformersLM:
    return TransformersLM(saved(kind))


def prompts(kind: str) -> list[Prompt]:
    return TEXTS if kind in TEXT_ONLY else [AUDIO_PROMPTS[0], *TEXTS, *AUDIO_PROMPTS[1:]]


@pytest.mark.parametrize("decoding", [BRIEF, PENALISED, SAMPLED], ids=["greedy", "penal", "sample"])
@pytest.mark.parametrize("kind", EVERY)
def test_batch_does_not_change_responses(kind: str, decoding: Decoding) -> None:
    together = list(model(kind).generate(prompts(kind), decoding))
    alone = [answer for p in prompts(kind) for answer in model(kind).generate([p], decoding)]
    assert together == alone


@pytest.mark.parametrize("kind", EVERY)
def test_scores_of_each_step_do_not_depend_on_the_batch(kind: str) -> None:
    lm = model(kind)
    encoded = [lm._encode(prompt, 4) for prompt in prompts(kind)]
    groups = {
        lm._batch_key(encoding): [e for e in encoded if lm._batch_key(e) == lm._batch_key(encoding)]
        for encoding in encoded
    }
    if kind not in (
        "mamba",
        "rwkv",
    ):  # a recurrent model shares no batch with prompts of another length
        assert max(map(len, groups.values())) > 1

    def scores(inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        options = {"output_scores": True, "return_dict_in_generate": True, "pad_token_id": 0}
        out = lm._net.generate(**lm._on_device(inputs), max_new_tokens=3, **options)
        return list(torch.stack(out.scores, 1))

    for members in groups.values():
        together = scores(stack_inputs([encoding.inputs for encoding in members]))
        alone = [row for encoding in members for row in scores(encoding.inputs)]
        for row, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-5)
        for first, second in pairwise(alone):  # and the model uses text and audio
            assert not torch.allclose(first, second, atol=0.1)


@pytest.mark.parametrize("kind", EVERY)
def test_likelihoods_equal_full_passes(kind: str) -> None:
    lm = model(kind)
    texts = ["yes", "yes, it is a crow", "no", " a dog"]  # the first begins the second
    questions = prompts(kind)
    for prompt, actual in zip(questions, lm.log_likelihood(questions, texts), strict=True):
        inputs = lm._on_device(lm._encode(prompt, 20).inputs)
        for text, likelihood in zip(texts, actual, strict=True):
            new = torch.tensor([lm._encoder.continuation(text)])
            ids = torch.cat([inputs["input_ids"], new], 1)
            whole = inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            with torch.inference_mode():
                logits = lm._net(**whole, use_cache=False).logits[0, :-1].log_softmax(-1)
            scores = logits.gather(-1, ids[0, 1:, None])[-new.shape[1] :]
            assert likelihood.total == pytest.approx(float(scores.sum()), abs=1e-4)
            assert likelihood.n_tokens == new.shape[1] == len(text)


@pytest.mark.parametrize("kind", EVERY)
def test_questions_about_one_clip_share_it(kind: str) -> None:
    """Likelihoods equal those of single questions, and the audio is processed once per clip."""
    lm, texts = model(kind), ["yes", "no way"]
    clips = [None] if kind in TEXT_ONLY else [noise(6.0), noise(6.0, 2), None]
    questions = [
        Prompt(text, clip)
        for clip in clips
        for text in ("Is it a crow?", "Is it a crow or a jay?", "Is it?", "Why?", "Is it?")
    ]
    alone = [row for q in questions for row in lm.log_likelihood([q], texts)]
    n_read: list[int] = []

    def count(_: object, __: object, values: dict[str, torch.Tensor]) -> None:
        n_read.append(values["input_ids"].shape[1])

    hook = lm._net.register_forward_pre_hook(count, with_kwargs=True)
    try:
        together = list(lm.log_likelihood(questions, texts))
    finally:
        hook.remove()
    for row, expected in zip(together, alone, strict=True):
        totals = [value.total for value in expected]
        assert [value.total for value in row] == pytest.approx(totals, abs=1e-4)
    whole = [lm._encode(question, 8).length for question in questions]
    if kind not in ("mamba", "rwkv", "gemma3n-text"):  # whose state cannot go back
        new = [whole[n] for n in range(0, len(whole), 5)]
        shared = sum(whole) - sum(new)
        assert sum(n_read) < sum(new) + shared * (0.9 if kind in TEXT_ONLY else 0.6)


def test_likelihoods_beyond_a_sliding_window_equal_full_passes() -> None:
    lm = model("gemma3n-text")
    long = Prompt("Which birds call at dawn in a forest? " * 3)  # the window is 16 tokens
    (actual,) = lm.log_likelihood([long], ["a crow and a jackdaw and a rook", "no"])
    inputs = lm._on_device(lm._encode(long, 40).inputs)
    new = torch.tensor([lm._encoder.continuation("a crow and a jackdaw and a rook")])
    ids = torch.cat([inputs["input_ids"], new], 1)
    with torch.inference_mode():
        logits = lm._net(input_ids=ids, use_cache=False).logits[0, :-1].log_softmax(-1)
    expected = float(logits.gather(-1, ids[0, 1:, None])[-new.shape[1] :].sum())
    assert actual[0].total == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", WITH_AUDIO)
def test_prompt_and_shared_beginning_are_processed_once(kind: str) -> None:
    lm = model(kind)
    rows: list[int] = []

    def count(_: object, __: object, options: dict[str, torch.Tensor]) -> None:
        rows.append(options["input_ids"].numel())

    handle = lm._net.register_forward_pre_hook(count, with_kwargs=True)
    try:
        list(lm.log_likelihood(AUDIO_PROMPTS[:1], [f"number {n} of" for n in range(10)]))
    finally:
        handle.remove()
    shared, rest = len("number "), len("0 o")  # a token per character; the last one is not needed
    assert rows == [lm._encode(AUDIO_PROMPTS[0], 1).length, shared, 10 * rest]


@pytest.mark.parametrize("kind", ["qwen2-audio", "audio-flamingo", "qwen-omni", "voxtral"])
def test_consecutive_questions_encode_audio_once(kind: str) -> None:
    lm = TransformersLM(saved(kind), batch_size=1)
    (tower,) = (m for name, m in lm._net.named_modules() if name.endswith("audio_tower"))
    inside = next(m for m in tower.modules() if isinstance(m, torch.nn.Conv1d | torch.nn.Conv2d))
    calls: list[int] = []
    handle = inside.register_forward_hook(lambda *_: calls.append(1))
    sounds = noise(1.0), noise(1.0, 2)
    in_turn = [Prompt(f"Question {n}?", sound) for n in range(2) for sound in sounds]
    in_order = [in_turn[n] for n in (0, 2, 1, 3)]
    affected: list[bool] = []
    try:
        asks: tuple[Callable[[list[Prompt]], Iterator[Answer]], ...] = (
            lambda p: lm.log_likelihood(p, ["yes", "no"]),
            lambda p: lm.generate(p, BRIEF),
        )
        for ask in asks:
            mixed = list(ask(in_turn))
            n_mixed = len(calls)
            calls.clear()
            together = list(ask(in_order))
            assert len(calls) == n_mixed / 2 > 0
            for first, second in zip(together, (mixed[n] for n in (0, 2, 1, 3)), strict=True):
                assert values_of(first) == pytest.approx(values_of(second), abs=1e-4)
            calls.clear()
            affected.append(mixed[0] != mixed[1])
    finally:
        handle.remove()
    assert any(affected)


def values_of(answer: Answer) -> list[float]:
    """Return log-likelihoods, or the characters of a response as numbers."""
    if isinstance(answer, Response):
        return [float(ord(character)) for character in answer.text]
    return [value.total for value in answer]


class Brief:
    """The model with short answers by default, for checks that generate many answers."""

    def __init__(self, lm: TransformersLM) -> None:
        self.info = lm.info
        self.log_likelihood = lm.log_likelihood
        self._model = lm

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return self._model.generate(prompts, decoding or BRIEF)


@pytest.mark.parametrize("kind", ["qwen2-audio", "qwen-omni", "audio-flamingo"])
def test_contract_of_audio_models(kind: str) -> None:
    check_likelihood_model(Brief(TransformersLM(saved(kind), batch_size=3)))


@pytest.mark.parametrize("kind", ["llama", "gemma3n-text"])
def test_contract_of_text_models(kind: str) -> None:
    check_likelihood_model(Brief(TransformersLM(saved(kind), batch_size=2)), with_sound=False)


@pytest.mark.parametrize("kind", ["qwen2-audio", "audio-flamingo"])
def test_responses_equal_direct_use_of_transformers(kind: str) -> None:
    """The expected responses come from transformers' processor and chat template, as documented."""
    auto = AutoModelForSeq2SeqLM if kind == "audio-flamingo" else AutoModelForMultimodalLM
    processor = AutoProcessor.from_pretrained(saved(kind))
    net = auto.from_pretrained(saved(kind)).eval()
    assert AUDIO_PROMPTS[0].audio is not None
    turn = [
        {"type": "audio", "audio": AUDIO_PROMPTS[0].audio.samples},
        {"type": "text", "text": "What is heard?"},
    ]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": turn}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
    )
    ids = net.generate(**inputs, max_new_tokens=6, do_sample=False, repetition_penalty=1.0)
    expected = processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    (response,) = model(kind).generate(AUDIO_PROMPTS[:1], BRIEF)
    assert response.text == expected.strip()


def test_published_generation_config_is_not_used() -> None:
    lm = model("llama")
    assert lm._net.generation_config.repetition_penalty is None
    assert lm._ends == (258, 256)  # but its end tokens count
    assert list(lm.generate(TEXTS, BRIEF)) == list(lm.generate(TEXTS, BRIEF))


def test_finish_is_stop_after_an_end_token() -> None:
    lm = TransformersLM(saved("llama"))
    with torch.no_grad():
        lm._net.lm_head.weight[258] = 100 * lm._net.lm_head.weight[258]
    finishes = {r.finish for r in lm.generate(TEXTS * 3, Decoding(max_new_tokens=60))}
    assert "stop" in finishes
    assert {r.finish for r in model("llama").generate(TEXTS[:1], Decoding(max_new_tokens=1))} == {
        "length"
    }


def test_registry_builds_the_model_and_info_has_its_options() -> None:
    lm = load(
        "language_model", f"transformers:{saved('llama')}", dtype="bfloat16", system="Be brief."
    )
    assert lm.info.name == "llama"
    assert lm.info.options == {"dtype": "bfloat16", "system": "Be brief."}
    assert lm.info.revision == model("llama").info.revision != ""
    assert TransformersLM(saved("llama"), batch_size=1).info == model("llama").info
    assert list(lm.generate(TEXTS, BRIEF))

"""Networks without their processors: batches and shared prefixes against full passes."""

import pytest
import torch
from tests.tiny_chat_models import END, IDS, N_TOKENS, granite_speech
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.language_models.transformers import _together
from audioprobe.nets import likelihood
from audioprobe.nets.generation import continue_batch
from audioprobe.types import Decoding

N_SOUND = 6  # tokens of two blocks of 15 encoder frames


def granite_prompt(seed: int, n_text: int, *, sound: bool = True) -> dict[str, Tensor]:
    """What Granite Speech's processor makes of a sound of 0.6 s, with random features."""
    random = torch.Generator().manual_seed(seed)
    text = torch.randint(0, 200, (1, n_text), generator=random)
    marks = torch.full((1, N_SOUND if sound else 0), IDS["audio_token"])
    ids = torch.cat([text[:, :2], marks, text[:, 2:]], 1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if sound:
        inputs["input_features"] = torch.randn(1, 30, 16, generator=random)
        inputs["input_features_mask"] = torch.ones(1, N_SOUND, dtype=torch.bool)
    return inputs


@pytest.mark.parametrize("sound", [True, False])
def test_granite_speech_answers_alike_alone_and_in_company(sound: bool) -> None:
    net = granite_speech()
    prompts = [granite_prompt(n, n_text, sound=sound) for n, n_text in enumerate((5, 12, 30))]
    for decoding in (Decoding(8), Decoding(8, repetition_penalty=1.4)):
        together = continue_batch(net, _together(prompts), decoding, [END])
        assert together == [continue_batch(net, p, decoding, [END])[0] for p in prompts]
        assert len({answer.ids for answer in together}) == 3


@pytest.mark.parametrize("sound", [True, False])
def test_granite_speech_scores_continuations_as_full_passes_do(sound: bool) -> None:
    net, prompt = granite_speech(), granite_prompt(7, 9, sound=sound)
    random = torch.Generator().manual_seed(1)
    lengths = [1, 4, 9] * 15  # more than one chunk
    continuations = [torch.randint(0, N_TOKENS - 20, (n,), generator=random) for n in lengths]
    found = likelihood.log_likelihood(net, prompt, [c.tolist() for c in continuations])
    for new, scored in zip(continuations, found, strict=True):
        ids = torch.cat([prompt["input_ids"], new[None]], 1)
        whole = prompt | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.inference_mode():
            logits = net(**whole, use_cache=False).logits[0, :-1].log_softmax(-1)
        expected = logits.gather(-1, ids[0, 1:, None])[-len(new) :].sum()
        assert scored.total == pytest.approx(float(expected), abs=1e-4)
        assert scored.n_tokens == len(new)


def test_both_ways_of_scoring_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    net, prompt = granite_speech(), granite_prompt(3, 6)
    continuations = [[5, 6, 7], [8]]
    shared = likelihood.log_likelihood(net, prompt, continuations)
    monkeypatch.setattr(likelihood, "_can_be_shared", lambda _: False)
    whole = likelihood.log_likelihood(net, prompt, continuations)
    for one, other in zip(shared, whole, strict=True):
        assert one.total == pytest.approx(other.total, abs=1e-4)
        assert one.n_tokens == other.n_tokens


def test_a_continuation_needs_tokens() -> None:
    with pytest.raises(InvalidInputError, match="at least one token"):
        likelihood.log_likelihood(granite_speech(), granite_prompt(0, 4), [[1], []])
    assert likelihood.log_likelihood(granite_speech(), granite_prompt(0, 4), []) == []

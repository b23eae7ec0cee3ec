"""Likelihoods of 28 labels after one prompt with a sound, by one shared prefix, in one process.

Each label has 4 tokens, the prompt 128, of which 32 are the sound's. The peers compute the prompt
again with every label: one label at a time, and all 28 in one batch. The limit counts positions:
28 times prompt and label, divided by the prompt once and 28 labels. The model is a random LTU with
a LLaMA of 35 million parameters; ratios depend on lengths and little on sizes.
"""

import numpy as np
import torch

from audioprobe.models.ltu.generation import TokenPrompt
from audioprobe.models.ltu.likelihood import log_likelihoods
from audioprobe.models.ltu.network import LTUNetwork
from side_by_side import finish, ratio, report
from small_ltu import small_ltu

N_LABELS, LABEL_TOKENS, PROMPT_TOKENS, SOUND_TOKENS = 28, 4, 128, 32


def by_pass(net: LTUNetwork, prompt: TokenPrompt, labels: torch.Tensor) -> list[float]:
    """A full forward pass per label."""
    return [total for label in labels for total in by_batch(net, prompt, label[None])]


@torch.inference_mode()
def by_batch(net: LTUNetwork, prompt: TokenPrompt, labels: torch.Tensor) -> list[float]:
    """All prompts with their labels in one batch; they are equally long, so nothing is padded."""
    assert prompt.audio_tokens is not None
    n_labels = len(labels)
    ids = torch.cat([prompt.input_ids.expand(n_labels, -1), labels], dim=1)
    logits = net(ids, prompt.audio_tokens.expand(n_labels, -1, -1))[:, -LABEL_TOKENS - 1 : -1]
    scores = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    totals: list[float] = scores.double().sum(1).tolist()
    return totals


def main() -> None:
    """Compare values and rankings, then print both ratios."""
    net = small_ltu()
    generator = torch.Generator().manual_seed(1)
    vocabulary = net.llama.config.vocab_size
    ids = torch.randint(3, vocabulary, (PROMPT_TOKENS - SOUND_TOKENS,), generator=generator)
    labels = torch.randint(3, vocabulary, (N_LABELS, LABEL_TOKENS), generator=generator)
    with torch.inference_mode():
        heard = net.prefix(torch.randn(1, 1024, 128, generator=generator))[0]
    prompt = TokenPrompt(ids, heard)

    def shared() -> list[float]:
        (found,) = log_likelihoods(net, [prompt], labels.tolist())
        return [value.total for value in found]

    ours, alone, batched = shared(), by_pass(net, prompt, labels), by_batch(net, prompt, labels)
    largest = max(abs(a - b) for peer in (alone, batched) for a, b in zip(ours, peer, strict=True))
    rankings = {tuple(np.argsort(values)) for values in (ours, alone, batched)}
    print(f"largest difference {largest:.1e} nats, rankings: {len(rankings)}")
    limit = N_LABELS * (PROMPT_TOKENS + LABEL_TOKENS) / (PROMPT_TOKENS + N_LABELS * LABEL_TOKENS)
    finish(
        largest < 1e-4,
        len(rankings) == 1,
        report(
            f"{N_LABELS} labels against a pass per label",
            ratio(lambda: by_pass(net, prompt, labels), shared),
            8,
            limit,
        ),
        report(
            f"{N_LABELS} labels against one batch",
            ratio(lambda: by_batch(net, prompt, labels), shared),
            5,
            limit,
        ),
    )


if __name__ == "__main__":
    main()

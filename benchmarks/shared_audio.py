"""Likelihoods and answers of many questions in shared passes, against a pass per prompt.

The peer of likelihoods is the general code for causal models of transformers: it processes each
prompt once, and all continuations of the prompt use its keys and values. The peer of answers is
the same code in the same batches of 16, in which each question has its own copy of the audio. With
`--answers`, only those of the chat model are compared.

1. 32 yes/no questions about one clip with 750 audio positions, by a random LTU, and by a random
   Qwen2-Audio, whose encoder runs once instead of 32 times.
2. The same questions about one clip by `mini`, which has 21 audio positions.
3. 28 labels of about 5 tokens for each of 64 clips, by `mini`.
4. Answers of one token, the usual length of "yes" and "no", to the questions of 1 and 2, also
   by the chat model.

The limit counts positions: those of separate prompts, divided by the audio of each clip and the
different beginnings of its texts.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

from audioprobe.models.causal_lm.batch_inputs import shared_start_inputs, stack_inputs
from audioprobe.models.causal_lm.generation import continue_batch
from audioprobe.models.causal_lm.likelihood import log_likelihood
from audioprobe.models.causal_lm.prompt_cache import PromptCache
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.generation import TokenPrompt, generate
from audioprobe.models.ltu.likelihood import log_likelihoods
from audioprobe.models.ltu.network import LTUNetwork, merge_lora
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.types import Decoding
from positions import Positions
from side_by_side import finish, ratio, report
from small_ltu import WIDTH, small_ltu

SOURCES = ("dog", "crow", "wind", "rain", "engine", "thunder", "violin", "piano")
KINDS = ("animal", "bird", "weather", "machine")
QUESTIONS = [f"Is the sound of a {a} the sound of a kind of {b}?" for a in SOURCES for b in KINDS]
LABELS = [f"The sound of a {a} near a {b}." for a in SOURCES for b in KINDS][:28]
N_CLIPS, LONG = 64, 750
AUDIO_TOKEN = 7_999
END = 2


@torch.inference_mode()
def separately(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], ids: Sequence[Sequence[int]]
) -> list[float]:
    """A pass per prompt."""
    totals = []
    for prompt in prompts:
        assert prompt.audio_tokens is not None
        embedded = net.embed(prompt.input_ids[None], prompt.audio_tokens[None])
        values = log_likelihood(net.llama, {"inputs_embeds": embedded}, ids)
        totals += [value.total for value in values]
    return totals


def together(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], ids: Sequence[Sequence[int]]
) -> list[float]:
    """All prompts in shared passes."""
    return [value.total for row in log_likelihoods(net, prompts, ids) for value in row]


def answers(net: LTUNetwork, prompts: Sequence[TokenPrompt], *, shared: bool) -> list[float]:
    """Token ids of answers, as numbers to compare; the prompts have one clip or copies of it."""
    ids: list[float] = []
    for start in range(0, len(prompts), 16):
        batch = prompts[start : start + 16]
        if not shared:
            batch = [
                TokenPrompt(prompt.input_ids, prompt.audio_tokens.clone())
                for prompt in batch
                if prompt.audio_tokens is not None
            ]
        for tokens in generate(net, batch, Decoding(max_new_tokens=1), eos_token_id=END):
            ids += tokens.ids or (END,)
    return ids


class Chat:
    """A random Qwen2-Audio: an encoder of 6 blocks, 384 wide, and a LLaMA-like model as LTU's."""

    def __init__(self) -> None:
        sizes = {
            "model_type": "qwen2",
            "vocab_size": 8_000,
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
        }
        encoder = {
            "d_model": 384,
            "encoder_layers": 6,
            "encoder_attention_heads": 6,
            "encoder_ffn_dim": 1536,
            "num_mel_bins": 80,
            "max_source_positions": 1500,
        }
        config = Qwen2AudioConfig(
            audio_config=encoder, text_config=sizes, audio_token_index=AUDIO_TOKEN
        )
        self.net = Qwen2AudioForConditionalGeneration(config).eval()
        self.features = torch.randn(1, 80, 3000)

    def log_odds(self, questions: Sequence[Tensor], *, shared: bool) -> list[float]:
        """Log-odds of two tokens after a clip and each question, with one cache or without."""
        values, cache = [], PromptCache(self.net, (AUDIO_TOKEN,))
        for question in questions:
            known = cache if shared else PromptCache(self.net)
            first, second = log_likelihood(self.net, self._inputs(question), [[5], [6]], known)
            values.append(first.total - second.total)
        return values

    @torch.inference_mode()
    def answers(self, questions: Sequence[Tensor], *, shared: bool) -> list[float]:
        """Token ids of answers, as numbers to compare, in batches that share the clip or copies."""
        ids: list[float] = []
        starts = PromptCache(self.net, (AUDIO_TOKEN,))
        for start in range(0, len(questions), 16):
            rows = [self._inputs(question) for question in questions[start : start + 16]]
            inputs = shared_start_inputs(self.net, rows, starts) if shared else stack_inputs(rows)
            assert inputs is not None
            for tokens in continue_batch(self.net, inputs, Decoding(max_new_tokens=1), (END,)):
                ids += tokens.ids or (END,)
        return ids

    def _inputs(self, question: Tensor) -> dict[str, Tensor]:
        """Inputs of the model for a prompt with the clip."""
        ids = torch.cat([torch.full((LONG,), AUDIO_TOKEN), question])[None]
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "input_features": self.features,
            "feature_attention_mask": torch.ones(1, 3000, dtype=torch.long),
        }


def limit_of(
    prompts: Sequence[TokenPrompt], continuations: Sequence[Sequence[int]] = ((),), batch: int = 64
) -> float:
    """Return how many times as many positions separate prompts have as shared ones.

    Continuations share their prompt in both; a batch shares each clip.
    """
    positions = Positions()
    for number, prompt in enumerate(prompts):
        assert prompt.audio_tokens is not None
        ids = prompt.input_ids.tolist()
        clip = id(prompt.audio_tokens), number // batch
        positions.add(clip, len(prompt.audio_tokens) + len(ids), ids, continuations)
    return positions.limit


def compare(
    name: str,
    bar: float,
    limit: float,
    peer: Callable[[], list[float]],
    ours: Callable[[], list[float]],
) -> bool:
    """Compare values, then print the ratio of times."""
    largest = max(abs(a - b) for a, b in zip(peer(), ours(), strict=True))
    print(f"largest difference {largest:.1e} nats")
    return report(name, ratio(peer, ours, rounds=2), bar, limit) and largest < 1e-4


def main() -> None:
    """Compare values and print all ratios."""
    torch.manual_seed(0)
    net, checkpoint = small_ltu(), load_ltu("mini")
    mini, prompts = checkpoint.net, LTUPrompts(checkpoint.tokenizer)
    merge_lora(mini.llama)

    def prompt_of(text: str, tokens: Tensor) -> TokenPrompt:
        return TokenPrompt(torch.tensor(prompts.tokenize(prompts.prompt(text))), tokens)

    yes_no = [prompts.continuation_ids(text) for text in ("Yes.", "No.")]
    labels = [prompts.continuation_ids(text) for text in LABELS]
    long_clip = torch.randn(LONG, WIDTH)
    random_questions = [
        TokenPrompt(torch.tensor([1, *torch.randint(3, 8000, (20,)).tolist()]), long_clip)
        for _ in QUESTIONS
    ]
    chat, texts = Chat(), [prompt.input_ids for prompt in random_questions]
    chat_answers = partial(
        compare,
        f"32 answers, {LONG} audio positions, chat model",
        10,
        limit_of(random_questions),
        lambda: chat.answers(texts, shared=False),
        lambda: chat.answers(texts, shared=True),
    )
    if "--answers" in sys.argv:
        finish(chat_answers())
    clip = torch.randn(21, mini.llama.config.hidden_size) * 0.1
    about_one = [prompt_of(question, clip) for question in QUESTIONS]
    captions = [prompt_of("What is the sound?", clip + n / 100) for n in range(N_CLIPS)]
    finish(
        compare(
            f"32 questions, {LONG} audio positions, LTU",
            10,
            limit_of(random_questions, [[5], [6]]),
            lambda: separately(net, random_questions, [[5], [6]]),
            lambda: together(net, random_questions, [[5], [6]]),
        ),
        compare(
            f"32 questions, {LONG} audio positions, chat model",
            10,
            limit_of(random_questions, [[5], [6]]),
            lambda: chat.log_odds(texts, shared=False),
            lambda: chat.log_odds(texts, shared=True),
        ),
        compare(
            "32 questions, mini",
            2,
            limit_of(about_one, yes_no),
            lambda: separately(mini, about_one, yes_no),
            lambda: together(mini, about_one, yes_no),
        ),
        compare(
            f"{N_CLIPS} clips, 28 labels, mini",
            3,
            limit_of(captions, labels),
            lambda: separately(mini, captions, labels),
            lambda: together(mini, captions, labels),
        ),
        compare(
            f"32 answers, {LONG} audio positions, LTU",
            5,
            limit_of(random_questions, batch=16),
            lambda: answers(net, random_questions, shared=False),
            lambda: answers(net, random_questions, shared=True),
        ),
        compare(
            "32 answers, mini",
            2,
            limit_of(about_one, batch=16),
            lambda: answers(mini, about_one, shared=False),
            lambda: answers(mini, about_one, shared=True),
        ),
        chat_answers(),
    )


if __name__ == "__main__":
    main()

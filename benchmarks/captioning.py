"""Captions of 64 clips by a small random LTU, in batches of 16 and one by one, in one process.

Every run encodes its clips anew. Captions have 20 tokens; the model never ends by itself. The limit
is one pass over the positions of all captions at once, after the encoder, which is impossible,
because a token depends on those before it.
"""

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from audioprobe import LTU, Decoding, Prompt, Waveform
from audioprobe.types import ComponentInfo
from side_by_side import finish, ratios, report
from small_ltu import small_ltu

N_CLIPS, SECONDS, RATE, N_WORDS = 64, 10, 16_000, 8_000
BATCH, N_FRAMES, N_PROMPT = 16, 1024, 4
DECODING = Decoding(max_new_tokens=20)


def tokenizer() -> PreTrainedTokenizerFast:
    """A word for every token."""
    words = ["<unk>", "<s>", "</s>", *(f"word{n}" for n in range(N_WORDS - 3))]
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def tone(pitch: float) -> Waveform:
    """A sine of so many Hz."""
    time = np.arange(SECONDS * RATE) / RATE
    return Waveform((0.5 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), RATE)


def main() -> None:
    """Compare answers, then print the ratio."""
    net, words = small_ltu(N_WORDS), tokenizer()
    net.llama.lm_head.weight[words.eos_token_id] = 0
    prompts = [Prompt("word5 word6 word7", tone(100.0 + 50 * n)) for n in range(N_CLIPS)]

    def captions(batch_size: int) -> list[str]:
        info = ComponentInfo("language_model", "random")
        model = LTU(net, words, info, batch_size=batch_size)  # remembers no sound yet
        return [answer.text for answer in model.generate(prompts, DECODING)]

    @torch.inference_mode()
    def one_pass() -> None:
        for _ in range(0, N_CLIPS, BATCH):
            audio = net.prefix(torch.randn(BATCH, N_FRAMES, 128))
            words = torch.randn(BATCH, N_PROMPT + DECODING.max_new_tokens, audio.shape[2])
            net.llama(inputs_embeds=torch.cat([audio, words], dim=1))

    together, alone = captions(BATCH), captions(1)
    same = together == alone
    print(f"{len(set(alone))} different captions of {N_CLIPS}, identical in both: {same}")
    found, limit = ratios(lambda: captions(1), lambda: captions(BATCH), one_pass, rounds=2)
    finish(same, report(f"{N_CLIPS} captions, batches of {BATCH} against 1", found, 3, limit))


if __name__ == "__main__":
    main()

"""Captions of 32 recordings and scenes by the shipped LTU, in batches of 16 and one by one.

Every run encodes its clips anew. Seconds per caption are printed beside the ratio. The limit is one
pass of the language model over the positions of all captions at once, which is impossible, because
a token depends on those before it.
"""

import sys
import time

import torch

from audioprobe import LTU, Prompt, Recordings, Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.network import merge_lora
from audioprobe.training.examples import CAPTION_QUESTION
from side_by_side import finish, ratios, report

BATCH, N_AUDIO = 16, 21


def main() -> None:
    """Compare answers, then print the ratio."""
    scenes = [clip.waveform for clip in Synthetic(n_clips=10).clips("test")]
    sounds = [read_waveform(clip) for clip in Recordings().clips()] + scenes
    prompts = [Prompt(CAPTION_QUESTION, sound) for sound in sounds]
    files = load_ltu("mini")
    merge_lora(files.net.llama)  # as `LTU.from_pretrained` does

    def captions(batch_size: int) -> list[str]:
        model = LTU(files.net, files.tokenizer, files.info({}), batch_size=batch_size)
        return [answer.text for answer in model.generate(prompts)]

    together, alone = captions(BATCH), captions(1)
    n_text = [len(files.tokenizer(CAPTION_QUESTION + text).input_ids) for text in alone]
    n_positions = N_AUDIO + max(n_text)

    @torch.inference_mode()
    def one_pass() -> None:
        for _ in range(0, len(prompts), BATCH):
            files.net.llama(
                inputs_embeds=torch.randn(BATCH, n_positions, files.net.llama.config.hidden_size)
            )

    began = time.perf_counter()
    captions(1)
    seconds = (time.perf_counter() - began) / len(prompts)
    sys.stdout.write(f"{seconds:.2f} s for a caption, one by one\n")
    found, limit = ratios(lambda: captions(1), lambda: captions(BATCH), one_pass, rounds=2)
    what = f"{len(prompts)} captions, batches of {BATCH} against 1"
    finish(together == alone, report(what, found, 3, limit))


if __name__ == "__main__":
    main()

"""Captions of 32 recordings and scenes by the shipped LTU, in batches of 16 and one by one.

Every run hears its clips anew. Seconds per caption are printed beside the ratio.
"""

import sys
import time

from audioprobe import LTU, Prompt, Recordings, Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.network import merge_lora
from audioprobe.training.examples import CAPTION_QUESTION
from side_by_side import finish, ratio, report


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

    together, alone = captions(16), captions(1)
    began = time.perf_counter()
    captions(1)
    seconds = (time.perf_counter() - began) / len(prompts)
    sys.stdout.write(f"{seconds:.2f} s for a caption, one by one\n")
    found = ratio(lambda: captions(1), lambda: captions(16), rounds=2)
    finish(together == alone, report(f"{len(prompts)} captions, batches of 16 against 1", found, 3))


if __name__ == "__main__":
    main()

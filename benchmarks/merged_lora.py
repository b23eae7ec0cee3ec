"""Captions of the shipped recordings by `mini` with merged LoRA, against LoRA beside the weights.

The fine-tuning study merges LoRA before it evaluates a model. The limit is the same network whose
layers of LoRA are removed.
"""

from audioprobe import LTU, Decoding, Prompt, Recordings
from audioprobe.audio.windowing import read_waveform
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.network import merge_lora, unload_lora
from audioprobe.training.examples import CAPTION_QUESTION
from side_by_side import finish, ratios, report

BATCH_SIZE = 16


def main() -> None:
    """Compare answers, then print the ratio."""
    prompts = [Prompt(CAPTION_QUESTION, read_waveform(clip)) for clip in Recordings().clips()]
    beside, merged, without = (load_ltu("mini") for _ in range(3))
    merge_lora(merged.net.llama)
    unload_lora(without.net)

    def captions(files: LTUCheckpoint) -> list[str]:
        model = LTU(files.net, files.tokenizer, files.info({}), batch_size=BATCH_SIZE)
        return [answer.text for answer in model.generate(prompts, Decoding(max_new_tokens=48))]

    same = captions(beside) == captions(merged)
    found, limit = ratios(
        lambda: captions(beside), lambda: captions(merged), lambda: captions(without), rounds=3
    )
    finish(same, report(f"{len(prompts)} captions with merged LoRA", found, 1.05, limit))


if __name__ == "__main__":
    main()

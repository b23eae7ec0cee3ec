"""What an LTU of true size takes on a GPU: memory and time to answer and to be fine-tuned.

Weights are random, for they change neither. `python benchmarks/gpu/true_size.py` prints a row
for each way to answer and to train; with `--save FOLDER` it writes the model as a folder instead,
for `audioprobe run`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoTokenizer

from audioprobe import LTU, Decoding, Prompt, Recordings, Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioProbeError
from audioprobe.finetuning.captioned_clips import captioned_clips
from audioprobe.finetuning.components import ContrastiveAlignment, Distillation
from audioprobe.finetuning.data import TrainingSampler
from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.text_corpora import encode_passages, read_texts
from audioprobe.finetuning.trainer import finetune
from audioprobe.models.ltu.assembly import build_network
from audioprobe.models.ltu.audio_frontend import SpectrogramFrontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, Origin
from audioprobe.models.ltu.generation import use_static_cache
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork, quantize
from audioprobe.models.ltu.saving import save_ltu
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.training.arguments import TrainingArguments

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.llama_tokenizer import write_tokenizer

GIB = 2**30
NAMES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
LLAMA = {"7B": (4096, 11008, 32, 32), "13B": (5120, 13824, 40, 40)}
AT_ONCE, TOKENS = 8, 64
CLIPS, STEPS = 32, 4


def random_ltu(size: str) -> LTUCheckpoint:
    """On the GPU, in bfloat16, with LLaMA's own tokenizer."""
    llama = dict(zip(NAMES, LLAMA[size], strict=True)) | {"vocab_size": 32_000}
    config = LTUConfig(llama=llama)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in LTUNetwork(config).state_dict().items()}
    generator = torch.Generator("cuda").manual_seed(0)
    tensors = {}
    for name, shape in shapes.items():
        tensor = torch.empty(shape, dtype=torch.bfloat16, device="cuda")
        norm = len(shape) < 2 and name.endswith("weight")
        still = "lora_B" in name or name.endswith("bias")
        tensors[name] = (
            tensor.fill_(float(norm))
            if norm or still
            else tensor.normal_(0, 0.02, generator=generator)
        )
    net = build_network(config, tensors, source=f"a random LTU-{size}").to("cuda").eval()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = AutoTokenizer.from_pretrained(write_tokenizer(Path(folder)))
    return LTUCheckpoint(
        net=net.requires_grad_(requires_grad=False),
        tokenizer=tokenizer,
        origin=Origin("", "", "", ""),
        revision="",
    )


def used() -> float:
    """GiB that tensors take now."""
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated() / GIB


def peak() -> float:
    """GiB that tensors took at most since the last look."""
    found = torch.cuda.max_memory_allocated() / GIB
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return found


def answering(size: str) -> Iterator[str]:
    """A row per number format, and one for compiled generation in bfloat16.

    It has the weights, what eight captions take beside them, and how long.
    """
    sounds = [read_waveform(clip) for clip in Recordings().clips()][:AT_ONCE]
    prompts = [Prompt("Write an audio caption describing the sound.", sound) for sound in sounds]
    labels = [f"the sound of thing {n}" for n in range(28)]
    kinds: tuple[Literal["bfloat16", "compiled", "8bit", "4bit"], ...]
    kinds = ("bfloat16", "compiled", "8bit", "4bit")
    for kind in kinds:
        files = random_ltu(size)
        if kind == "compiled":
            use_static_cache(files.net)
        elif kind != "bfloat16":
            # Maps are quantised when they come to the GPU.
            quantize(files.net.to("cpu").llama, kind, torch.bfloat16)
            files.net.to("cuda")
        peak()
        weights = used()
        model = LTU(files.net, files.tokenizer, files.info({}), batch_size=AT_ONCE)
        list(model.generate(prompts, Decoding(max_new_tokens=TOKENS)))  # also compiles
        peak()
        began = time.perf_counter()
        said = list(model.generate(prompts, Decoding(max_new_tokens=TOKENS)))
        seconds, most = time.perf_counter() - began, peak()
        began = time.perf_counter()
        list(model.log_likelihood(prompts[:4], labels))
        each = (time.perf_counter() - began) / 4
        yield (
            f"{size} {kind}: weights {weights:.1f} GiB, {len(said)} captions of {TOKENS} tokens "
            f"{most - weights:.2f} GiB more, {seconds:.1f} s; 28 labels of a clip {each:.2f} s"
        )
        del files, model


def tuning(size: str) -> Iterator[str]:
    """A row per strategy: memory and seconds of a step."""
    every = Synthetic(n_clips=CLIPS, max_sources=1, seed=0).clips("train")
    with tempfile.TemporaryDirectory() as home:
        clips = captioned_clips("made", every, Path(home) / "features", SpectrogramFrontend())
        prompts = LTUPrompts(random_ltu(size).tokenizer)
        passages = encode_passages(read_texts("rehearsal").passages, prompts)
        data = TrainingSampler(
            tokenizer=prompts, clips=clips, rehearsal_clips=clips, rehearsal_texts=tuple(passages)
        )
        plan = TrainingArguments(
            steps=STEPS, learning_rate=1e-4, warmup_steps=1, precision="bfloat16", save_every=10**6
        )
        kept, tied = (
            (Distillation(texts=4),),
            (ContrastiveAlignment(),),
        )
        chosen = [
            Strategy(train="projector", arguments=plan, clips_per_step=CLIPS),
            Strategy(train="projector+lora", arguments=plan, clips_per_step=CLIPS),
            Strategy(
                train="projector+lora",
                arguments=plan,
                regularizers=kept,
                alignment=tied,
                clips_per_step=CLIPS,
            ),
            Strategy(train="all", arguments=plan, clips_per_step=CLIPS),
            Strategy(train="projector+last-4-layers", arguments=plan, clips_per_step=CLIPS),
        ]
        for number, strategy in enumerate(chosen):
            files = random_ltu(size)
            peak()
            name = "+".join(
                [strategy.train, *(p.kind for p in (*strategy.regularizers, *strategy.alignment))]
            )
            try:
                result = finetune(TrainableLTU(files.net), data, strategy, Path(home) / str(number))
            except (AudioProbeError, RuntimeError) as error:
                yield f"{size} {name}: {type(error).__name__} {error!s:.300}"
                continue
            finally:
                del files
            seconds = sorted(entry["seconds"] for entry in result.history)[len(result.history) // 2]
            losses = ", ".join(f"{entry['loss']:.2f}" for entry in result.history)
            yield f"{size} {name}: {peak():.1f} GiB, {seconds:.2f} s a step, losses {losses}"


def main() -> None:
    """Print what was measured, as it is."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--size", choices=LLAMA, default="7B")
    asked.add_argument("--save", type=Path)
    given = asked.parse_args()
    if not torch.cuda.is_available():
        sys.exit("This measures a GPU, and there is none.")
    if given.save is not None:
        save_ltu(random_ltu(given.size), given.save, name=f"ltu-{given.size}")
        return
    print(torch.cuda.get_device_name(0), f"{torch.cuda.mem_get_info()[1] / GIB:.0f} GiB")
    for rows in (answering(given.size), tuning(given.size)):
        for row in rows:
            print(row, flush=True)


if __name__ == "__main__":
    main()

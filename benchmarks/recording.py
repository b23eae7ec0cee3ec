"""Activations: all sites of the shipped LTU against a plain pass, and memory of many trials.

Both passes encode the audio once and compute the logits of all positions. Memory is the peak of
another process that records 10,000 prompts with audio, or patches 2,000 pairs, with a tiny random
LTU; it must hardly grow with their number.
"""

import resource
import subprocess
import sys
import tempfile

import numpy as np

from side_by_side import finish, ratio, report

SPANS = ("audio", "question", "last")
SECONDS, RATE, N_SOUNDS = 3, 16_000, 16
FEW, MANY = 200, {"record": 10_000, "patch": 2_000}


def speed() -> bool:
    """Compare reading all sites of a batch with a plain pass."""
    from audioprobe import LTU, Recordings
    from audioprobe.audio.windowing import read_waveform
    from audioprobe.interpretability.activations import read_states
    from audioprobe.sites import InspectedPrompt
    from audioprobe.types import Prompt

    model = LTU.from_pretrained("mini")
    sounds = [read_waveform(clip) for clip in Recordings().clips()[:8]]
    prompts = [InspectedPrompt(Prompt("What can be heard?", sound)) for sound in sounds]
    items = [(prompt, model.layout(prompt)) for prompt in prompts]

    def plain() -> None:
        ends = ("connector.out", "lm.logits")
        model.run_with_hooks(prompts, {site: lambda *_: None for site in ends})

    found = ratio(plain, lambda: read_states(model, items, model.sites, SPANS))
    return report("a plain pass against one that records all sites", found, 0.8, limit=1.0)


def work(task: str, n_trials: int) -> None:
    """Record or patch with a tiny model; print the peak in MiB."""
    from audioprobe import LTU, Prompt, Waveform
    from audioprobe.interpretability.patching import patch
    from audioprobe.interpretability.recording import record
    from audioprobe.models.ltu.audio_encoder import CavMaeConfig
    from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
    from audioprobe.sites import InspectedPrompt
    from audioprobe.types import ComponentInfo
    from captioning import N_WORDS, tokenizer

    llama = {
        "vocab_size": N_WORDS,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    audio = CavMaeConfig(width=24, n_heads=3, n_blocks=1, mlp_width=48)
    net = LTUNetwork(LTUConfig(audio=audio, llama=llama)).eval().requires_grad_(requires_grad=False)
    model = LTU(net, tokenizer(), ComponentInfo("language_model", "tiny"))

    class Trials(list[int]):
        """Prompts whose audio is made when they are used; few sounds differ, for speed."""

        def __getitem__(self, number: int) -> InspectedPrompt:  # type: ignore[override]
            noise = np.random.default_rng(number % N_SOUNDS).uniform(-0.3, 0.3, SECONDS * RATE)
            prompt = Prompt(f"word{number % 999}", Waveform(noise.astype(np.float32), RATE))
            return InspectedPrompt(prompt, options=("word1", "word2"), id=str(number))

    trials = Trials(range(n_trials))
    if task == "record":
        with tempfile.TemporaryDirectory() as folder:
            record(model, trials, ["lm.resid.*"], ["last"], folder)  # type: ignore[arg-type]
    else:
        patch(model, trials, trials, list(range(n_trials)), sites="lm.resid.1")  # type: ignore[arg-type]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory(task: str) -> bool:
    """Compare the additional audio with the additional memory."""
    few, many = (
        float(
            subprocess.run(
                [sys.executable, __file__, task, str(n)], check=True, capture_output=True
            ).stdout
        )
        for n in (FEW, MANY[task])
    )
    print(f"{task}: peak {few:.0f} MiB for {FEW} trials, {many:.0f} MiB for {MANY[task]}")
    audio = (MANY[task] - FEW) * SECONDS * RATE * 4 / 2**20
    return report(f"{task}: audio against additional memory", audio / max(many - few, 0.1), 20)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work(sys.argv[1], int(sys.argv[2]))
    else:
        # Memory first: the peak of a new process is at least that of the process that started it.
        flat = [memory("record"), memory("patch")]
        finish(*flat, speed())

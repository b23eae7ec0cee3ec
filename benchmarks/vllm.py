"""Captions of the shipped recordings by `mini` on a vLLM server, against the local model.

Start the server as docs/how-to/serve-with-vllm.md shows, and set OPENAI_BASE_URL to its address.
The sounds are encoded before anything is timed, as both ways encode them alike.
"""

import os
import time
from collections.abc import Callable

from audioprobe import LTU, Decoding, Prompt, Recordings, VllmLTU
from audioprobe.audio.windowing import read_waveform
from audioprobe.training.examples import CAPTION_QUESTION
from side_by_side import finish, ratio, report

CAPTIONS = Decoding(max_new_tokens=48)
LABELS = ["Audio caption: a dog barks.", "Audio caption: a crow calls.", "Audio caption: rain."]


def own_cpu(function: Callable[[], object]) -> float:
    """Seconds of CPU time that this process needs for a call; the server is another process."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    """Compare answers, then print the ratios."""
    if not os.environ.get("OPENAI_BASE_URL"):
        print("skipped: set OPENAI_BASE_URL to the address of a vLLM server of mini")
        return
    prompts = [Prompt(CAPTION_QUESTION, read_waveform(clip)) for clip in Recordings().clips()]
    local, served = LTU.from_pretrained("mini", batch_size=16), VllmLTU("mini")

    def local_captions() -> list[str]:
        return [response.text for response in local.generate(prompts, CAPTIONS)]

    def served_captions() -> list[str]:
        return [response.text for response in served.generate(prompts, CAPTIONS)]

    def local_likelihoods() -> list[float]:
        rows = local.log_likelihood(prompts, LABELS)
        return [value.total for row in rows for value in row]

    def served_likelihoods() -> list[float]:
        rows = served.log_likelihood(prompts, LABELS)
        return [value.total for row in rows for value in row]

    n_equal = sum(map(str.__eq__, local_captions(), served_captions()))
    pairs = zip(local_likelihoods(), served_likelihoods(), strict=True)
    largest = max(abs(one - other) for one, other in pairs)
    print(f"{n_equal} of {len(prompts)} captions are equal")
    print(f"largest difference of a likelihood: {largest:.1e} nats")
    print(
        f"CPU time here: {own_cpu(local_captions):.2f} s against {own_cpu(served_captions):.2f} s"
    )
    captions = ratio(local_captions, served_captions, rounds=3)
    labels = ratio(local_likelihoods, served_likelihoods, rounds=2)
    finish(
        n_equal == len(prompts) and largest < 1e-3,
        report(f"{len(prompts)} captions", captions, 1.2),
        report(f"{len(LABELS)} likelihoods of {len(prompts)} clips", labels, 0.2),
    )


if __name__ == "__main__":
    main()

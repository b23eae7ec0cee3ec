"""Captions of the shipped recordings by `mini` on a vLLM server, against the local model.

Start the server as docs/how-to/serve-with-vllm.md shows, and set OPENAI_BASE_URL to its address.
The sounds are encoded before anything is timed, as both ways encode them alike.

The limit is the server alone: as many requests of token ids, with the mean numbers of positions and
of new tokens of the captions, without embeddings, audio or this library. For likelihoods, one
request per clip has the positions of its prompt and of all labels.
"""

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2

from audioprobe import LTU, Decoding, Prompt, Recordings, VllmLTU
from audioprobe.audio.windowing import read_waveform
from audioprobe.training.examples import CAPTION_QUESTION
from side_by_side import finish, ratios, report

CONCURRENCY = 16
CAPTIONS = Decoding(max_new_tokens=48)
LABELS = ["Audio caption: a dog barks.", "Audio caption: a crow calls.", "Audio caption: rain."]


def own_cpu(function: Callable[[], object]) -> float:
    """Seconds of CPU time that this process needs for a call; the server is another process."""
    start = time.process_time()
    function()
    return time.process_time() - start


def server_alone(url: str, n_requests: int, n_positions: int, n_new: int) -> Callable[[], object]:
    """Return a call that sends requests of random token ids, 16 at once."""
    client = httpx2.Client(base_url=url, timeout=120)
    name = client.get("models").json()["data"][0]["id"]
    rng = random.Random(0)

    def complete(ids: list[int]) -> None:
        fields = {"prompt": ids, "max_tokens": n_new, "ignore_eos": True, "temperature": 0}
        client.post("completions", json={"model": name, **fields}).raise_for_status()

    prompts = [rng.choices(range(1000, 40_000), k=n_positions) for _ in range(n_requests)]

    def complete_all() -> None:
        with ThreadPoolExecutor(CONCURRENCY) as threads:
            list(threads.map(complete, prompts))

    return complete_all


def mean_tokens(served: VllmLTU, call: Callable[[], object], n_calls: int) -> tuple[int, int]:
    """Return the mean number of positions of a prompt, and of new tokens, during a call."""
    before = served.budget.n_input_tokens, served.budget.n_output_tokens
    call()
    after = served.budget.n_input_tokens, served.budget.n_output_tokens
    n_positions, n_new = (round((b - a) / n_calls) for a, b in zip(before, after, strict=True))
    return n_positions, n_new


def main() -> None:
    """Compare answers, then print the ratios."""
    url = os.environ.get("OPENAI_BASE_URL")
    if not url:
        print("skipped: set OPENAI_BASE_URL to the address of a vLLM server of mini")
        return
    prompts = [Prompt(CAPTION_QUESTION, read_waveform(clip)) for clip in Recordings().clips()]
    local = LTU.from_pretrained("mini", batch_size=CONCURRENCY)
    served = VllmLTU("mini", concurrency=CONCURRENCY)

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
    n_positions, n_new = mean_tokens(served, served_captions, len(prompts))
    (values,) = local.log_likelihood(prompts[:1], LABELS)
    n_labels = sum(value.n_tokens for value in values)
    captions, bound = ratios(
        local_captions, served_captions, server_alone(url, len(prompts), n_positions, n_new), 3
    )
    labels, labels_bound = ratios(
        local_likelihoods,
        served_likelihoods,
        server_alone(url, len(prompts), n_positions + n_labels, 1),
        2,
    )
    finish(
        n_equal == len(prompts) and largest < 1e-3,
        report(f"{len(prompts)} captions", captions, 1.2, bound),
        report(f"{len(LABELS)} likelihoods of {len(prompts)} clips", labels, 0.2, labels_bound),
    )


if __name__ == "__main__":
    main()

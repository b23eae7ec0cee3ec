"""Draw several responses to each prompt."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from audioprobe.protocols import LanguageModel
from audioprobe.types import Decoding, Prompt, Response

SAMPLING = Decoding(temperature=1.0, top_p=0.95, max_new_tokens=100)
"""Default decoding of several samples; without top_p, rare tokens lead to long, unrelated texts."""

_BATCH = 16  # prompts of which all samples are drawn before the next prompts


def draw_samples(
    model: LanguageModel, prompts: Iterable[Prompt], decoding: Decoding | None, n: int
) -> Iterator[tuple[Response, ...]]:
    """Yield the samples of each prompt, with the seeds `decoding.seed`, `decoding.seed` + 1, ...

    All prompts share the random numbers of a sample, so that a response does not depend on the
    other prompts; samples of different prompts are therefore not independent.

    Args:
        model: model that responds.
        prompts: the prompts; at most 16 are read ahead.
        decoding: decoding settings; None is the default of the model, and allows one sample only.
        n: number of samples.
    """
    if decoding is None or n == 1:
        for response in model.generate(prompts, decoding):
            yield (response,)
        return
    settings = [replace(decoding, seed=decoding.seed + k) for k in range(n)]
    stream = iter(prompts)
    while batch := list(islice(stream, _BATCH)):
        yield from zip(*(model.generate(batch, each) for each in settings), strict=True)

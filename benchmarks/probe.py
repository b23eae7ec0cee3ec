"""A probe of the shipped recordings by `mini`, in shared passes and with a pass per prompt.

The peer answers questions in batches of 16 of similar length, in which each question has its own
copy of the audio, and computes likelihoods one prompt at a time with transformers' cache. Both have
the same questions under all conditions that clips allow. CPU time is compared, after one question
each, since a busy machine changes it less than the time on the clock. The limit is how many times
fewer positions the LLaMA reads if each beginning of a text about a clip is read once.

`python benchmarks/probe.py 3` uses the first 3 recordings instead of 8.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from audioprobe import LTU, ConceptProbe, Decoding, Prompt, Recordings, Response
from audioprobe.models.causal_lm.generation import continue_batch, left_padded, run_in_batches
from audioprobe.models.causal_lm.likelihood import log_likelihood
from audioprobe.models.ltu.audio_frontend import load_frontend
from audioprobe.models.ltu.audio_input import AudioInput
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.network import merge_lora
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.probing import ProbeOutcome
from audioprobe.protocols import LanguageModel
from audioprobe.types import LogLikelihood
from positions import Positions
from side_by_side import finish, report

N_CLIPS, BATCH_SIZE = 8, 16
BAR = 3.0


class SeparatePasses:
    """The model of a checkpoint; prompts share nothing.

    Attributes:
        positions: the positions of all prompts and answers.
    """

    def __init__(self, checkpoint: LTUCheckpoint) -> None:
        self.info = checkpoint.info({})
        self._net, self._prompts = checkpoint.net, LTUPrompts(checkpoint.tokenizer)
        self._audio = AudioInput(self._net, load_frontend(self._net.config.audio), None)
        self.positions = Positions()

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield the responses to prompts."""

        def respond(batch: Sequence[tuple[Prompt, Tensor, Tensor]]) -> Iterator[Response]:
            batch_prompts, ids, rows = zip(*batch, strict=True)
            mask = left_padded([torch.ones(len(row), dtype=torch.long) for row in rows], 0)
            inputs = {
                "input_ids": left_padded(ids, int(ids[0][0])),
                "inputs_embeds": left_padded(rows, 0.0),
                "attention_mask": mask,
            }
            end = self._prompts.eos_token_id
            outputs = continue_batch(self._net.llama, inputs, decoding or Decoding(), (end,))
            for prompt, text_ids, row, output in zip(
                batch_prompts, ids, rows, outputs, strict=True
            ):
                self._count(prompt, text_ids, row, [output.ids])
                text = self._prompts.tokenizer.decode(list(output.ids), skip_special_tokens=True)
                yield Response(text.strip(), output.finish)

        yield from run_in_batches(
            map(self._embed, prompts), BATCH_SIZE, respond, length=lambda item: len(item[2])
        )

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[list[LogLikelihood]]:
        """Yield the log-likelihoods of the continuations of each prompt."""
        ids = [self._prompts.continuation_ids(text) for text in continuations]
        for prompt in prompts:
            _, text_ids, row = self._embed(prompt)
            self._count(prompt, text_ids, row, [each[:-1] for each in ids])
            yield log_likelihood(self._net.llama, {"inputs_embeds": row[None]}, ids)

    def _count(
        self, prompt: Prompt, ids: Tensor, row: Tensor, answers: Sequence[Sequence[int]]
    ) -> None:
        clip = None if prompt.audio is None else prompt.audio.digest()
        self.positions.add(clip, len(row), ids.tolist(), answers)

    @torch.inference_mode()
    def _embed(self, prompt: Prompt) -> tuple[Prompt, Tensor, Tensor]:
        """Return a prompt, its token ids, and its input of the LLaMA."""
        ids = torch.tensor(self._prompts.tokenize(self._prompts.full_text(prompt)))
        audio = None if prompt.audio is None else self._audio.encode(prompt.audio)[0][None]
        return prompt, ids, self._net.embed(ids[None], audio)[0]


def probed(model: LanguageModel, n_clips: int) -> tuple[ProbeOutcome, float]:
    """Return the outcome of a probe, and the seconds of CPU time that it took."""
    clips = list(Recordings().clips())[:n_clips]
    list(model.generate([Prompt("What is the sound?")], Decoding(max_new_tokens=1)))
    start = time.process_time()
    outcome = ConceptProbe(model)("hypernym", clips=clips, progress=False)
    return outcome, time.process_time() - start


def largest_difference(first: ProbeOutcome, second: ProbeOutcome) -> float:
    """Return the largest difference of two likelihoods of the same question and option (nats)."""
    return max(
        abs(a - b)
        for one, other in zip(first.trials, second.trials, strict=True)
        for a, b in zip(one.log_likelihoods, other.log_likelihoods, strict=True)
    )


def main() -> None:
    """Compare answers, then print the ratio of CPU times."""
    n_clips = int(sys.argv[1]) if len(sys.argv) > 1 else N_CLIPS
    checkpoint = load_ltu("mini")
    merge_lora(checkpoint.net.llama)
    shared = LTU(checkpoint.net, checkpoint.tokenizer, checkpoint.info({}), batch_size=BATCH_SIZE)
    ours, seconds = probed(shared, n_clips)
    separate = SeparatePasses(checkpoint)
    peer, peer_seconds = probed(separate, n_clips)
    texts, peer_texts = ([t.response for t in outcome.trials] for outcome in (ours, peer))
    difference = largest_difference(ours, peer)
    print(
        f"{len(texts)} questions, identical answers: {texts == peer_texts}, largest difference "
        f"{difference:.1e} nats, {peer_seconds:.1f} s and {seconds:.1f} s of CPU time"
    )
    limit = separate.positions.limit
    found = report(f"probe of {n_clips} recordings", peer_seconds / seconds, BAR, limit)
    finish(found, texts == peer_texts, difference < 1e-4)


if __name__ == "__main__":
    main()

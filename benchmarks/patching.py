"""Patching all layers of the shipped LTU: from stored states against whole passes.

A pair has a text question as source and the same question about a recording as base. At each
of the 30 layers, the batch contains patched states of three spans and noise.
"""

import torch
from torch import Tensor

from audioprobe import LTU, Recordings
from audioprobe.audio.windowing import read_waveform
from audioprobe.interpretability.answer_logits import AnswerReader, AnswerTokens
from audioprobe.interpretability.patched_runs import BaseRun, Change, PatchedRuns, read_base
from audioprobe.interpretability.span_transfer import Replacement
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt
from side_by_side import finish, ratio, report

OPTIONS = ("yes", "no")


def planned(base: BaseRun, sites: list[str]) -> dict[str, list[Change]]:
    """Return noisy states of three spans and of all positions, by site."""
    changes: dict[str, list[Change]] = {}
    for number, site in enumerate(sites):
        states, changes[site] = base.states[site], []
        for name in ("last", "question", "audio", "all"):
            span = base.item[1].positions(site, name)
            doubled = Replacement(span, 2 * states[list(span)])
            changes[site].append({site: doubled.noisy(states, number)})
    return changes


def by_whole_passes(reader: AnswerReader, base: BaseRun, rows: list[Change]) -> list[Tensor]:
    """A whole pass of the language model for each batch."""
    (site,) = rows[0]
    hooks = {site: lambda number, states: rows[number][site].applied(states)}
    return reader.logits([base.item[0]] * len(rows), hooks)


def main() -> None:
    """Compare logit differences, then print the ratio."""
    model = LTU.from_pretrained("mini")
    sound = read_waveform(Recordings().clips()[0])
    reader = AnswerReader(model)
    prompt = reader.prompt(InspectedPrompt(Prompt("Is this a bird?", sound), options=OPTIONS))
    sites = [site for site in model.sites if site.startswith("lm.resid.")]
    base = read_base(reader, (prompt, model.layout(prompt)), sites)
    changes = planned(base, sites)
    runs = PatchedRuns(reader, batch_size=8)

    def shared() -> list[Tensor]:
        return [row for rows in changes.values() for row in runs.logits(base, rows)]

    def whole() -> list[Tensor]:
        return [row for rows in changes.values() for row in by_whole_passes(reader, base, rows)]

    tokens = AnswerTokens.of(model, prompt)
    differences = [tokens.difference(torch.stack(way())) for way in (shared, whole)]
    largest = float((differences[0] - differences[1]).abs().max())
    print(f"{len(sites)} layers, largest difference {largest:.1e} logits")
    found, n_layers = ratio(whole, shared, 2), len(sites)
    limit = n_layers**2 / sum(range(n_layers))  # a patch after layer n needs the layers after it
    finish(
        largest < 1e-3,
        report("patching from stored states against whole passes", found, 1.6, limit),
    )


if __name__ == "__main__":
    main()

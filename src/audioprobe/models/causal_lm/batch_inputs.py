"""Inputs of transformers' `generate` for a batch of prompts of different lengths.

Prompts that start with the same audio and words share this beginning: it is computed once, and its
keys and values are repeated for its prompts. One forward pass then computes the rest of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from audioprobe.models.causal_lm.generation import left_padded
from audioprobe.models.causal_lm.prompt_cache import (
    PASS_COST,
    PER_TOKEN,
    PromptCache,
    cache_name,
    have_equal_features,
    is_per_token,
    n_common,
    padded_cache,
)

_INPUTS = {"input_ids", "attention_mask"}  # inputs per token that transformers takes with a cache


def stack_inputs(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the inputs of prompts into one batch.

    The ids of a shorter prompt are padded on the left with its own last token, which does not
    change the repetition penalty.
    """
    longest = max(row["input_ids"].shape[1] for row in rows)
    ids = []
    for row in rows:
        row_ids = row["input_ids"][0]
        ids.append(torch.cat([row_ids[-1:].expand(longest - len(row_ids)), row_ids]))
    batch = {"input_ids": torch.stack(ids)}
    for name in rows[0]:
        if name in PER_TOKEN:
            batch[name] = left_padded([row[name][0] for row in rows], 0)
        elif name != "input_ids":
            batch[name] = torch.cat([row[name] for row in rows])
    return batch


@torch.inference_mode()
def shared_start_inputs(
    model: Any,  # noqa: ANN401 - models have no common type
    rows: Sequence[Mapping[str, Tensor]],
    prompts: PromptCache,
) -> dict[str, Any] | None:
    """Return inputs of transformers' `generate` that contain keys and values of common beginnings.

    Padding is before a beginning and before the rest of a prompt, and is masked. Its ids are those
    of the last token of the prompt, which does not change the repetition penalty.

    Args:
        model: a causal model of transformers.
        rows: inputs of each prompt, with batch size 1 and without padding.
        prompts: cache of the beginnings that were computed before; it changes.

    Returns:
        The inputs; None if sharing costs more than it saves, or the model does not support it.
    """
    per_token = {name for row in rows for name in row if is_per_token(name)}
    if not prompts.can_start_batches or per_token != _INPUTS:
        return None
    ids = [row["input_ids"][0].tolist() for row in rows]
    groups = _groups(rows)
    starts = [n_common([ids[n] for n in group], prompts.placeholders) for group in groups]
    n_rest = max(
        len(ids[n]) - start for group, start in zip(groups, starts, strict=True) for n in group
    )
    cost = sum(starts) + len(rows) * n_rest + PASS_COST * len(groups)
    if not all(starts) or cost >= len(rows) * max(map(len, ids)):
        return None
    beginnings: dict[int, tuple[list[Any], int, range]] = {}
    for group, start in zip(groups, starts, strict=True):
        layers = prompts.layers_after(_beginning(rows[group[0]], start))
        if layers is None:
            return None
        beginnings |= dict.fromkeys(group, (layers, 0, range(start)))
    ordered = [beginnings[n] for n in range(len(rows))]
    cache, mask = padded_cache(ordered)
    padded, rest_mask = _padded(ids, [len(row[2]) for row in ordered], mask.shape[1], n_rest)
    device = rows[0]["input_ids"].device
    return {
        "input_ids": padded.to(device),
        "attention_mask": torch.cat([mask, rest_mask], 1).to(device),
        cache_name(model): cache,
    }


def _groups(rows: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
    """Return the numbers of rows with the same audio."""
    groups: list[list[int]] = []
    for n, row in enumerate(rows):
        known = (group for group in groups if have_equal_features(rows[group[0]], row))
        group = next(known, None)
        if group is None:
            groups.append([n])
        else:
            group.append(n)
    return groups


def _beginning(row: Mapping[str, Tensor], n_tokens: int) -> dict[str, Tensor]:
    """Return the inputs for the first tokens of a prompt, with all of its audio."""
    return {
        name: tensor[:, :n_tokens] if is_per_token(name) else tensor for name, tensor in row.items()
    }


def _padded(
    prompts: Sequence[Sequence[int]], starts: Sequence[int], n_start: int, n_rest: int
) -> tuple[Tensor, Tensor]:
    """Return the ids of prompts with padding, and the mask of their rests.

    Args:
        prompts: the ids of each prompt.
        starts: number of tokens in the beginning of each prompt.
        n_start: length of a beginning with padding.
        n_rest: length of a rest with padding.

    Returns:
        Shapes (n_prompts, n_start + n_rest) and (n_prompts, n_rest).
    """
    padded, mask = [], []
    for ids, start in zip(prompts, starts, strict=True):
        n_padding = n_rest - (len(ids) - start)
        before, between = [ids[-1]] * (n_start - start), [ids[-1]] * n_padding
        padded.append([*before, *ids[:start], *between, *ids[start:]])
        mask.append([0] * n_padding + [1] * (n_rest - n_padding))
    return torch.tensor(padded), torch.tensor(mask)

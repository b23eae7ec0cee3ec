"""Checks of the options of forward passes, of logits and of randomized copies of a model."""

from collections.abc import Sequence
from functools import partial

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.forward_options import AttentionStates, ForwardOptions, ResidualStart
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.testing.rules import check_refusal, require
from audioprobe.testing.site_states import (
    SiteStates,
    close_states,
    equal_states,
    n_layers,
    read_states,
)


def check_start(model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates) -> None:
    """Check that a pass from a layer equals the whole pass."""
    states = [whole[n, "lm.resid.0"] for n in range(len(prompts))]
    later = model.sites[model.sites.index("lm.resid.0") + 1 :]
    rest = read_states(model, prompts, later, ForwardOptions(start=ResidualStart(0, states)))
    require(
        set(rest) == {key for key in whole if key[1] in later}
        and all(close_states(values, whole[key]) for key, values in rest.items()),
        "options.start: the same states as in the whole pass",
    )
    shorter = ForwardOptions(start=ResidualStart(0, [each[:-1] for each in states]))
    check_refusal(
        partial(model.run_with_hooks, prompts, {}, shorter),
        InvalidInputError,
        "options.start: refuses states of another length with InvalidInputError",
    )


def check_blocking(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that blocked edges of the last layer change the states of their query alone."""
    layer = n_layers(model) - 1
    site = f"lm.resid.{layer}"
    masks = []
    for n in range(len(prompts)):
        values = whole[n, site]
        masks.append(values.new_zeros(len(values), len(values)) > 0)
    masks[0][-1, :-1] = True
    blocked = read_states(model, prompts, [site], ForwardOptions(blocked={layer: masks}))
    for n in range(len(prompts)):
        before, after = whole[n, site], blocked[n, site]
        require(
            close_states(after[:-1], before[:-1])
            and close_states(after[-1], before[-1]) == (n != 0),
            "options.blocked: changes the states of the query, and no others",
        )


def check_attention(model: Inspectable, prompts: Sequence[InspectedPrompt]) -> None:
    """Check that attention weights are causal and sum to 1, if the model can return them."""
    read: dict[int, AttentionStates] = {}
    try:
        model.run_with_hooks(prompts, {}, ForwardOptions(attention={0: read.__setitem__}))
    except UnsupportedInputError:
        return
    require(set(read) == set(range(len(prompts))), "options.attention: one call per prompt")
    for attention in read.values():
        weights = attention.weights.float()
        sums = weights.sum(dim=-1)
        require(close_states(sums, sums * 0 + 1), "options.attention: weights sum to 1")
        require(not weights.triu(1).any(), "options.attention: no weight on later positions")


def check_vocabulary(model: Inspectable, whole: SiteStates) -> None:
    """Check that the logits of states are those of the model, and that tokens have texts."""
    logits = whole[0, "lm.logits"]
    last = model.vocabulary_logits(whole[0, f"lm.resid.{n_layers(model) - 1}"])
    require(
        close_states(last, logits), "vocabulary_logits: those of lm.logits after the last layer"
    )
    normalized = model.vocabulary_logits(whole[0, "lm.norm"], normalized=True)
    require(close_states(normalized, logits), "vocabulary_logits: those of lm.logits at lm.norm")
    ids = model.continuation_ids("Yes")
    require(len(ids) == len(model.token_texts(ids)) > 0, "token_texts: one text per token")
    check_refusal(
        partial(model.continuation_ids, ""),
        InvalidInputError,
        "continuation_ids: refuses an empty text with InvalidInputError",
    )


def check_randomized(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that a randomized copy differs, depends on its seed alone, and is a copy."""
    logits = []
    for seed in (0, 0, 1):
        copy = model.randomized(seed)
        require(copy.info != model.info, "randomized: another `info`")
        logits.append(read_states(copy, prompts[:1], ["lm.logits"])[0, "lm.logits"])
    require(equal_states(logits[0], logits[1]), "randomized: equal for equal seeds")
    require(not close_states(logits[0], logits[2]), "randomized: different for different seeds")
    require(not close_states(logits[0], whole[0, "lm.logits"]), "randomized: another model")
    after = read_states(model, prompts, ["lm.logits"])
    is_same = all(equal_states(values, whole[key]) for key, values in after.items())
    require(is_same, "randomized: does not change the model itself")

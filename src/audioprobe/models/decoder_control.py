"""Changes of the decoder layers of a network during a forward pass: `forward_options`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import UnsupportedInputError
from audioprobe.forward_options import AttentionHook, AttentionStates, ForwardOptions


@contextmanager
def controlled(
    decoder: Any,  # noqa: ANN401 - decoders of transformers have no common type
    options: ForwardOptions,
    numbers: Sequence[int],
    lengths: Sequence[int],
) -> Iterator[None]:
    """Context manager in which the options apply to a batch; it always restores the decoder.

    Args:
        decoder: decoder with `layers` whose attention is `self_attn`.
        options: the options.
        numbers: index of each row of the batch among the prompts of the options.
        lengths: number of tokens of each row; rows are padded on the right.
    """
    gradients = torch.enable_grad() if options.gradients else torch.inference_mode()
    with ExitStack() as stack:
        stack.enter_context(gradients)
        if options.start is not None:
            states = pad_sequence([options.start.states[n] for n in numbers], batch_first=True)
            stack.enter_context(_skipped(decoder.layers[: options.start.layer + 1], states))
        for layer, masks in options.blocked.items():
            rows = [masks[n] for n in numbers]
            hook = partial(_mask_edges, _blocking_mask(rows))
            module = decoder.layers[layer]
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        if options.attention:
            stack.enter_context(_explicit_attention(decoder))
        for layer, attention_hook in options.attention.items():
            attention = decoder.layers[layer].self_attn
            rows_of = list(zip(numbers, lengths, strict=True))
            stack.enter_context(_read_attention(attention, attention_hook, rows_of))
        yield


@contextmanager
def _skipped(layers: Sequence[nn.Module], states: Tensor) -> Iterator[None]:
    """Context manager in which the last layer returns `states`, and the others their input."""
    with ExitStack() as stack:
        for layer in layers:
            stack.callback(partial(_restore_forward, layer, layer.__dict__.get("forward")))

            def forward(hidden: Tensor, *_: object, last: bool = False, **__: object) -> Tensor:
                return states.to(hidden.device, hidden.dtype) if last else hidden

            layer.forward = partial(forward, last=layer is layers[-1])
        yield


def _restore_forward(layer: nn.Module, earlier: Callable[..., Any] | None) -> None:
    """Undo the replacement of `forward`; `earlier` is what replaced it before."""
    del layer.__dict__["forward"]
    if earlier is not None:
        layer.forward = earlier


def _blocking_mask(rows: Sequence[Tensor]) -> Tensor:
    """Return which edges a query may use, shape (n_rows, 1, longest, longest)."""
    longest = max(len(row) for row in rows)
    allowed = torch.ones(longest, longest, dtype=torch.bool).tril().repeat(len(rows), 1, 1)
    for n, blocked in enumerate(rows):
        allowed[n, : len(blocked), : len(blocked)] &= ~blocked.cpu()
    allowed |= torch.eye(longest, dtype=torch.bool)
    return allowed[:, None]


def _mask_edges(
    allowed: Tensor, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:  # noqa: ANN401
    """Add blocked edges to the attention mask that a decoder layer receives."""
    hidden = args[0] if args else kwargs["hidden_states"]
    lowest = torch.finfo(hidden.dtype).min
    allowed = allowed.to(hidden.device)
    mask = torch.zeros(allowed.shape, dtype=hidden.dtype, device=hidden.device)
    mask = mask.masked_fill(~allowed, lowest)
    given = kwargs.get("attention_mask")
    if isinstance(given, Tensor) and given.dtype == torch.bool:
        mask = mask.masked_fill(~given, lowest)
    elif isinstance(given, Tensor):
        mask = torch.minimum(mask, given.to(mask.dtype))
    return args, kwargs | {"attention_mask": mask}


@contextmanager
def _explicit_attention(decoder: Any) -> Iterator[None]:  # noqa: ANN401
    """Context manager in which attention weights are computed explicitly ("eager")."""
    earlier = decoder.config._attn_implementation  # noqa: SLF001 - transformers has no reader
    decoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        decoder.set_attn_implementation(earlier)


@contextmanager
def _read_attention(
    attention: Any,  # noqa: ANN401
    hook: AttentionHook,
    rows: Sequence[tuple[int, int]],
) -> Iterator[None]:
    """Context manager in which a function reads the attention of a layer.

    `rows` has the index of the prompt and the number of tokens of each row of the batch.
    """
    if not all(hasattr(attention, name) for name in ("v_proj", "o_proj", "head_dim")):
        raise UnsupportedInputError(
            "Expected attention with the modules v_proj and o_proj, got "
            f"{type(attention).__name__}. Its weights and values cannot be read."
        )
    values: list[Tensor] = []

    def store_values(_: nn.Module, __: object, output: Tensor) -> None:
        values[:] = [output]

    def read(_: nn.Module, __: object, output: tuple[Tensor, Tensor | None]) -> None:
        weights = output[1]
        if weights is None:
            raise UnsupportedInputError(
                f"{type(attention).__name__} returned no attention weights, so they cannot be read."
            )
        flat = values.pop()
        heads = flat.view(*flat.shape[:2], -1, attention.head_dim).transpose(1, 2)
        heads = heads.repeat_interleave(weights.shape[1] // heads.shape[1], dim=1)
        for row, (number, length) in enumerate(rows):
            states = AttentionStates(
                weights[row, :, :length, :length],
                heads[row, :, :length],
                partial(_projected, attention.o_proj),
            )
            hook(number, states)

    with ExitStack() as stack:
        stack.callback(attention.v_proj.register_forward_hook(store_values).remove)
        stack.callback(attention.register_forward_hook(read).remove)
        yield


def _projected(module: nn.Module, values: Tensor) -> Tensor:
    """Return the output of a linear module without its bias."""
    output: Tensor = module(values) - module(torch.zeros_like(values[..., :1, :]))
    return output

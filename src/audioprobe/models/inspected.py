"""Base class of models whose activations can be read and replaced."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook

if TYPE_CHECKING:
    from audioprobe.models.chat.inspection import ChatInspector
    from audioprobe.models.ltu.inspection import LTUInspector


class InspectedModel:
    """Base of models that implement `protocols.Inspectable` with an inspector.

    Attributes:
        _inspector: access to the network, set by the subclass.
    """

    _inspector: "ChatInspector | LTUInspector"

    @property
    def sites(self) -> tuple[str, ...]:
        """Places where activations can be read; see `audioprobe.sites`."""
        return self._inspector.sites

    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        """Return the positions of the parts of a prompt; see `protocols.Inspectable`."""
        return self._inspector.layout(prompt)

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        """Read or replace activations of a batch; see `protocols.Inspectable`."""
        self._inspector.run_with_hooks(prompts, hooks, options)

    def vocabulary_logits(self, states: Tensor, *, normalized: bool = False) -> Tensor:
        """Return logits of the vocabulary for states; see `protocols.Inspectable`."""
        return self._inspector.vocabulary_logits(states, normalized=normalized)

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer; see `protocols.Inspectable`."""
        return self._inspector.continuation_ids(text)

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token; see `protocols.Inspectable`."""
        return self._inspector.token_texts(ids)

"""What a recording of activations contains: sites, spans, and the shapes of its arrays."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import POOLINGS, Pooling
from audioprobe.interpretability.batches import PROMPT_FAILURES, inspected
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, find_sites, span_range
from audioprobe.types import Prompt


class RecordingPlan:
    """Model, prompts, sites and spans of a recording.

    Args:
        model: the model.
        prompts: the prompts, at least one.
        sites: names or patterns of sites.
        spans: names of spans, at least one.
        pooling: how the positions of a span are pooled.

    Attributes:
        sites: sites of the model, in the order of the forward pass.
        spans: spans without repetitions.

    Raises:
        InvalidInputError: if a site, a span or the pooling is unknown, or there are no prompts.
        UnsupportedInputError: if the sites of the model are unknown.
    """

    def __init__(
        self,
        model: Inspectable,
        prompts: Sequence[InspectedPrompt | Prompt],
        sites: Sequence[str],
        spans: Sequence[str],
        pooling: Pooling,
    ) -> None:
        if not prompts or not spans:
            raise InvalidInputError(
                f"Expected at least one prompt and one span, got {len(prompts)} prompts and "
                f"{len(spans)} spans."
            )
        if pooling not in POOLINGS:
            raise InvalidInputError(
                f"Expected pooling among {', '.join(POOLINGS)}, got {pooling!r}."
            )
        for span in spans:
            span_range(span)
        self.sites = find_sites(sites, model.sites)
        self.model, self.prompts = model, prompts
        self.pooling: Pooling = pooling
        self.spans = tuple(dict.fromkeys(spans))
        self._known_shapes: dict[str, tuple[int, ...]] = {}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of the array of each site, from forward passes of single prompts.

        Raises:
            InvalidInputError: if no prompt has states at a site.
        """
        if not self._known_shapes:
            widths = self._widths()
            start = (len(self.prompts), len(self.spans))
            if self.pooling == "each":
                n_positions = self._n_positions()
                self._known_shapes = {s: (*start, n_positions[s], widths[s]) for s in self.sites}
            else:
                self._known_shapes = {s: (*start, widths[s]) for s in self.sites}
        return self._known_shapes

    def reuse_shapes(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Use the shapes of an earlier part of the recording, so that no prompt needs to run."""
        self._known_shapes = {site: tuple(shape) for site, shape in shapes.items()}

    def prompt(self, number: int) -> InspectedPrompt:
        """Return a prompt; reading its audio may fail."""
        return inspected(self.prompts[number])

    def _widths(self) -> dict[str, int]:
        """Return the width of each site, from forward passes of single prompts.

        Raises:
            InvalidInputError: if no prompt has states at a site.
        """
        widths: dict[str, int] = {}
        cause = "The prompts have no audio."

        def store(site: str, _: int, states: Tensor) -> None:
            widths[site] = states.shape[-1]

        for number in range(len(self.prompts)):
            sites = [site for site in self.sites if site not in widths]
            if not sites:
                break
            try:
                prompt = self.prompt(number)
                if prompt.prompt.audio is None and not any(s.startswith("lm.") for s in sites):
                    continue  # has no states in the audio encoder
                hooks = {site: partial(store, site) for site in sites}
                self.model.run_with_hooks([prompt], hooks)
            except PROMPT_FAILURES as error:
                cause = f"The last failure was: {error}"
        if missing := [site for site in self.sites if site not in widths]:
            raise InvalidInputError(
                f"Expected states at {', '.join(missing)}, but no prompt has any. {cause}"
            )
        return widths

    def _n_positions(self) -> dict[str, int]:
        """Return the largest number of positions of a span at each site."""
        largest = dict.fromkeys(self.sites, 1)
        for number in range(len(self.prompts)):
            try:
                layout = self.model.layout(self.prompt(number))
            except PROMPT_FAILURES:
                continue  # counted as a failure when it is recorded
            for site in self.sites:
                n = max(len(layout.positions(site, span)) for span in self.spans)
                largest[site] = max(largest[site], n)
        return largest

    def settings(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        """Return what identifies the recording, as plain JSON data."""
        settings = {
            "model": asdict(self.model.info),
            "shapes": shapes,
            "spans": self.spans,
            "pooling": self.pooling,
            "n_prompts": len(self.prompts),
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings, default=dict))
        return plain


def digest_of(prompt: InspectedPrompt) -> str:
    """Return a SHA-256 hash of everything that determines the states of a prompt."""
    content = [prompt.prompt.digest(), prompt.continuation, prompt.concept, prompt.options]
    parts = json.dumps(content)
    return hashlib.sha256(parts.encode()).hexdigest()

"""Places and prompts that a lens reads, and their names in results."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import Pooling, States, read_states
from audioprobe.interpretability.batches import BatchResults, Item
from audioprobe.interpretability.site_curve import Place
from audioprobe.protocols import Inspectable
from audioprobe.sites import find_sites, span_range


@dataclass(frozen=True, slots=True)
class ItemName:
    """Name and concept of a prompt or text.

    Attributes:
        id: id of the prompt or its index, or the text.
        concept: its concept.
    """

    id: str
    concept: Hashable

    @property
    def texts(self) -> tuple[str, str]:
        """Id and concept as text."""
        return self.id, self.concept if isinstance(self.concept, str) else repr(self.concept)


def item_names(results: BatchResults[Any], concepts: Sequence[Hashable]) -> tuple[ItemName, ...]:
    """Return the name of each prompt; those that could not be read have their index as id."""
    ids = {n: prompt.id for n, (prompt, _) in results.items.items()}
    return tuple(ItemName(ids.get(n) or str(n), c) for n, c in enumerate(concepts))


def places_of(
    model: Inspectable, sites: str | Sequence[str], spans: Sequence[str]
) -> tuple[Place, ...]:
    """Return the places of sites and spans, in the order of the forward pass.

    Args:
        model: the model.
        sites: names or patterns of sites.
        spans: names of spans.

    Raises:
        InvalidInputError: if a site or a span is unknown, or there are no spans.
    """
    if isinstance(spans, str) or not spans:
        raise InvalidInputError(f'Expected a list of spans, such as ["audio"], got {spans!r}.')
    for span in spans:
        span_range(span)
    parts = tuple(dict.fromkeys(spans))
    return tuple(Place(site, span) for site in find_sites(sites, model.sites) for span in parts)


def sites_of(places: Sequence[Place]) -> tuple[str, ...]:
    """Return the sites of places, each once."""
    return tuple(dict.fromkeys(place.site for place in places))


def spans_of(places: Sequence[Place]) -> tuple[str, ...]:
    """Return the spans of places, each once."""
    return tuple(dict.fromkeys(place.span for place in places))


def read_places(
    model: Inspectable, batch: Sequence[Item], places: Sequence[Place], pooling: Pooling = "each"
) -> list[dict[Place, States]]:
    """Return the states of each prompt of a batch by place; see `activations.read_states`."""
    return [
        {Place(*key): values for key, values in states.items()}
        for states in read_states(model, batch, sites_of(places), spans_of(places), pooling)
    ]


def check_concepts(n_prompts: int, **values: Sequence[Hashable]) -> None:
    """Raise `InvalidInputError` unless there are prompts, and each has one of all values.

    Args:
        n_prompts: number of prompts.
        **values: values of the prompts by their name, such as concepts.
    """
    counts = {name: len(each) for name, each in values.items()}
    if not n_prompts or set(counts.values()) != {n_prompts}:
        raise InvalidInputError(
            f"Expected at least one prompt, and one value per prompt, got {n_prompts} prompts and "
            f"{', '.join(f'{count} {name}' for name, count in counts.items())}."
        )

"""Requests and money that remote components have spent, shown with the progress."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from audioprobe.progress import ProgressCallback, ProgressEvent


@dataclass(frozen=True, slots=True)
class Spending:
    """Number of requests, and their cost in USD at the known prices."""

    n_requests: int
    usd: float

    def __str__(self) -> str:
        return f"{self.n_requests} requests, {self.usd:.2f} USD"


class _Budget(Protocol):
    n_requests: int

    @property
    def usd_spent(self) -> float: ...


@runtime_checkable
class _HasBudget(Protocol):
    budget: _Budget


@runtime_checkable
class ReportsSpending(Protocol):
    """Interface of components that contain other components, some of which may be remote."""

    @property
    def spending(self) -> Spending | None:
        """Sum over the remote components; None if there is none."""
        ...


def spending_of(*components: object) -> Spending | None:
    """Return the sum of what components have spent; None if all of them are local.

    Args:
        components: models, embedders, scorers, or None.
    """
    amounts = []
    for component in components:
        if isinstance(component, _HasBudget):
            budget = component.budget
            amounts.append(Spending(budget.n_requests, budget.usd_spent))
        elif isinstance(component, ReportsSpending) and component.spending is not None:
            amounts.append(component.spending)
    if not amounts:
        return None
    return Spending(sum(a.n_requests for a in amounts), sum(a.usd for a in amounts))


def with_spending(progress: ProgressCallback, *components: object) -> ProgressCallback:
    """Return a callback that adds what the components have spent to the note of each event.

    The events go on to `progress`. Nothing is added if all components are local.
    """

    def callback(event: ProgressEvent) -> None:
        spending = spending_of(*components)
        progress(event if spending is None else replace(event, note=str(spending)))

    return callback

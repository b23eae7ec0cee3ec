"""Train a tuned lens: translators that make the states of layers predict the model's output.

Training minimizes KL(final || lens) over the vocabulary, where "final" is the output distribution
of the model at the same position; the model itself does not change (Belrose et al. 2023,
arXiv 2303.08112). The translators begin as the identity, which is the logit lens.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.interpretability.lens_places import (
    ItemName,
    check_concepts,
    item_names,
    places_of,
    sites_of,
    spans_of,
)
from audioprobe.interpretability.lens_positions import (
    FINAL,
    LensPositions,
    divergence,
    record_positions,
)
from audioprobe.interpretability.lens_reading import check_lens_sites
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.interpretability.tuned_lens import (
    Translator,
    TunedLens,
    identity_of,
)
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class LensTraining:
    """Settings of the training of a tuned lens.

    Attributes:
        learning_rate: learning rate of Adam, for states divided by their root mean square.
        n_epochs: maximum number of passes over the training positions, at least 1.
        patience: number of epochs without a lower validation loss after which training ends.
        positions_per_step: number of positions per gradient step.
        max_positions: maximum number of positions per prompt and span, evenly spaced.
        validation_share: share of the concepts whose prompts are held out, in (0, 1).
        seed: random seed of the held-out concepts and of the order of positions.
    """

    learning_rate: float = 1e-3
    n_epochs: int = 50
    patience: int = 5
    positions_per_step: int = 64
    max_positions: int = 16
    validation_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.n_epochs, self.patience, self.positions_per_step, self.max_positions)
        if min(counts) < 1 or not 0 < self.validation_share < 1 or not self.learning_rate > 0:
            raise InvalidInputError(
                f"Expected positive numbers and a validation_share between 0 and 1, got {self}."
            )


_TRAINING = LensTraining()


@dataclass(frozen=True, slots=True, eq=False)
class LensFit:
    """A trained tuned lens.

    Attributes:
        lens: the lens.
        divergence: KL(final || lens) in nats of the validation prompts, mean over the positions of
            a span. Its control is the logit lens. These prompts also chose the best epoch.
        n_epochs: epoch with the lowest validation loss at each site; 0 means that training did not
            improve on the logit lens, which the lens then is.
        failures: cause of each prompt that failed, keyed by its index.
    """

    lens: TunedLens
    divergence: SiteCurve
    n_epochs: Mapping[str, int]
    failures: Mapping[int, str] = field(default_factory=dict)


def train_tuned_lens(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    sites: str | Sequence[str] = "lm.resid.*",
    spans: Sequence[str] = ("last",),
    training: LensTraining = _TRAINING,
    batch_size: int = 8,
    progress: ProgressCallback = ignore_progress,
) -> LensFit:
    """Train a tuned lens at positions of some spans.

    A lens that was trained at positions of text says nothing about positions of audio: train it
    with `spans=["audio"]` to read them. The states are in memory: 4 bytes times the number of
    prompts, sites, positions and the width.

    Args:
        model: the model; its weights do not change.
        prompts: the prompts.
        concepts: concept of each prompt, or another group; validation prompts are of other concepts
            than those of training.
        sites: sites of the residual stream, or patterns. The last layer needs no translator.
        spans: spans at whose positions the lens is trained.
        training: settings.
        batch_size: prompts per forward pass.
        progress: called after every batch of prompts, then after every site.

    Raises:
        InvalidInputError: if numbers of prompts and concepts differ, there are fewer than two
            concepts with states, or a site has no translator.
        TrainingError: if the loss is NaN or infinite.
    """
    check_concepts(len(prompts), concepts=concepts)
    places, last = _trained_places(model, sites, spans)
    most = training.max_positions
    results = record_positions(
        model, prompts, places, max_positions=most, batch_size=batch_size, progress=progress
    )
    data = LensPositions.of(
        results.values,
        concepts,
        sites=sites_of(places),
        spans=spans_of(places),
        validation_share=training.validation_share,
        seed=training.seed,
    )
    matrices, offsets, n_epochs = {}, {}, {}
    for number, site in enumerate(data.sites, 1):
        (matrices[site], offsets[site]), n_epochs[site] = _fit(model, data, site, training)
        progress(ProgressEvent(stage="tuned lens", done=number, total=len(data.sites)))
    lens = TunedLens(identity_of(model), data.span_names, last, matrices, offsets)
    curve = _divergence_curve(model, data, lens, item_names(results, concepts))
    return LensFit(lens, curve, n_epochs, results.failures)


def _trained_places(
    model: Inspectable, sites: str | Sequence[str], spans: Sequence[str]
) -> tuple[tuple[Place, ...], str]:
    """Return the places that need a translator, and the site of the last layer."""
    places = places_of(model, sites, spans)
    last = [site for site in model.sites if site.startswith("lm.resid.")][-1]
    places = tuple(place for place in places if place.site != last)
    check_lens_sites(sites_of(places))
    if not places or {"lm.norm", "lm.logits"} & set(sites_of(places)):
        raise InvalidInputError(
            f'Expected sites before the last layer ({last}): "lm.embed", "lm.resid.*", got '
            f"{sites!r}. Later states need no translator."
        )
    return places, last


def _fit(
    model: Inspectable, data: LensPositions, site: str, training: LensTraining
) -> tuple[Translator, int]:
    """Return the translator of a site with the lowest validation loss, and its epoch."""
    generator = torch.Generator().manual_seed(training.seed)
    rows = torch.nonzero(~data.is_validation).flatten()
    held_out = torch.nonzero(data.is_validation).flatten()
    scale = data.states[site][rows].square().mean().sqrt()
    width = data.states[site].shape[-1]
    device = model.vocabulary_logits(data.states[FINAL][:1], normalized=True).device
    matrix = torch.zeros(width, width, requires_grad=True, device=device)
    offset = torch.zeros(width, requires_grad=True, device=device)
    optimizer = torch.optim.Adam([matrix, offset], training.learning_rate)

    def current() -> Translator:
        return matrix.detach().cpu().clone(), (scale * offset).detach().cpu()

    def loss_of(positions: Tensor) -> Tensor:
        return divergence(model, data, site, positions, (matrix, scale * offset))

    def validation_loss() -> float:
        size = training.positions_per_step
        with torch.inference_mode():
            parts = [loss_of(p).sum() for p in torch.split(held_out, size)]
        return float(torch.stack(parts).sum() / len(held_out))

    best, best_loss, best_epoch = current(), validation_loss(), 0
    for epoch in range(1, training.n_epochs + 1):
        order = rows[torch.randperm(len(rows), generator=generator)]
        for positions in torch.split(order, training.positions_per_step):
            loss = loss_of(positions).mean()
            # Gradients of the translator alone: the model does not collect any.
            matrix.grad, offset.grad = torch.autograd.grad(loss, [matrix, offset])
            optimizer.step()
        value = validation_loss()
        if not np.isfinite(value):
            raise TrainingError(
                f"The loss of the tuned lens at {site} is {value} in epoch {epoch}. Choose a lower "
                f"learning_rate than {training.learning_rate}."
            )
        if value < best_loss:
            best, best_loss, best_epoch = current(), value, epoch
        elif epoch - best_epoch >= training.patience:
            break
    return best, best_epoch


def _divergence_curve(
    model: Inspectable,
    data: LensPositions,
    lens: TunedLens,
    items: Sequence[ItemName],
) -> SiteCurve:
    """Return KL(final || lens) of the validation prompts at each place."""
    places = tuple(Place(site, span) for site in data.sites for span in data.span_names)
    numbers = sorted({int(n) for n in data.prompts[data.is_validation]})
    tuned, plain = (np.full((len(numbers), len(places)), np.nan) for _ in range(2))
    for column, place in enumerate(places):
        translator = lens.matrices[place.site], lens.offsets[place.site]
        identity = torch.zeros_like(translator[0]), torch.zeros_like(translator[1])
        is_span = data.spans == data.span_names.index(place.span)
        for row, n in enumerate(numbers):
            positions = torch.nonzero(is_span & (data.prompts == n)).flatten()
            if len(positions):
                for values, each in ((tuned, translator), (plain, identity)):
                    with torch.inference_mode():
                        loss = divergence(model, data, place.site, positions, each)
                    values[row, column] = float(loss.mean())
    return SiteCurve(
        measure="KL(final || lens) in nats",
        places=places,
        concepts=tuple(items[n].concept for n in numbers),
        values=tuned,
        controls={"logit lens": plain},
        items=tuple(items[n].id for n in numbers),
    )

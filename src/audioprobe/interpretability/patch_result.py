"""Measures of activation patching, and results of patching and of its estimate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_logits import AnswerTokens, log_probabilities
from audioprobe.interpretability.curve_bands import column_means
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.text_table import Displayed, Table
from audioprobe.types import Float64Array

MEASURES = ("logit difference", "recovered share", "KL(source || patched)", "changed answers")
"""Measures of a pass, in the order of `measures_of`."""


def measures_of(
    tokens: AnswerTokens,
    base: Tensor,
    source: Tensor,
    patched: Sequence[Tensor],
    least_difference: float,
) -> Float64Array:
    """Return the values of `MEASURES` of each pass of a pair, shape (n_passes, 4).

    Args:
        tokens: tokens of the options.
        base: logits of the base, shape (n_vocabulary,).
        source: logits of the source.
        patched: logits of each pass.
        least_difference: the recovered share is undefined (NaN) if the logit differences of base
            and source differ by less.

    Raises:
        NonFiniteError: if a logit is NaN or infinite.
    """
    logits = torch.stack([base, source, *patched])
    log_probs = log_probabilities(logits).double()
    differences = tokens.difference(logits).double().cpu().numpy()
    total = differences[1] - differences[0]
    defined = abs(total) >= least_difference
    shares = (differences - differences[0]) / (total if defined else np.nan)
    target = log_probs[1]
    divergences = (target.exp() * (target - log_probs)).sum(dim=-1).cpu().numpy()
    answers = logits[:, list(tokens.ids)].argmax(dim=-1).cpu().numpy()
    changed = np.where(answers[0] == answers[1], np.nan, answers == answers[1])
    return np.stack([differences, shares, divergences, changed], axis=1)[2:]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PatchResult(Displayed):
    """Effects of patching at each place, with controls.

    Every curve has one item per pair. Pairs that failed are NaN, and so are places that a prompt
    does not have. The controls are those of `patch`.

    Attributes:
        difference: logit of the correct option minus the mean logit of the others, after patching.
        recovered: (patched - base) / (source - base) of the logit difference: 0 without effect, 1
            if patching has the effect of the whole source prompt; may be negative or above 1. NaN
            if |source - base| is below `least_difference`.
        divergence: Kullback-Leibler divergence of the distribution of the next token of the
            patched pass from that of the source, in nats; 0 if both are equal.
        changed: 1 if the option with the highest logit is that of the source, otherwise 0; NaN if
            base and source have the same one without patching. Its mean is a share of pairs.
        base: logit difference of each base prompt, shape (n_pairs,).
        source: logit difference of each source prompt, shape (n_pairs,).
        least_difference: threshold of `recovered`, in logits.
        failures: cause of the failure of each pair that failed, by its index.
        control_failures: cause of each failure of a prompt that only a control needs, by the index
            of the pair and the name of the control.
    """

    difference: SiteCurve
    recovered: SiteCurve
    divergence: SiteCurve
    changed: SiteCurve
    base: Float64Array
    source: Float64Array
    least_difference: float
    failures: Mapping[int, str]
    control_failures: Mapping[tuple[int, str], str]

    @property
    def effect(self) -> SiteCurve:
        """Logit difference after patching minus that of the base, in logits."""
        base, curve = self.base[:, None], self.difference
        controls = {name: values - base for name, values in curve.controls.items()}
        measure = f"change of the {curve.measure}"
        return replace(curve, measure=measure, values=curve.values - base, controls=controls)

    @property
    def n_small_differences(self) -> int:
        """Number of pairs without recovered share because base and source hardly differ."""
        return int((np.abs(self.source - self.base) < self.least_difference).sum())

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table of recovered shares, and what was left out."""
        tables, sentences = self.recovered.displayed()
        left_out = (
            f"{len(self.failures)} pairs failed; {self.n_small_differences} have no recovered "
            f"share, because base and source differ by less than {self.least_difference:g} logits."
        )
        return tables, (*sentences, left_out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AttributionResult(Displayed):
    """Estimated effects of patching at each place, with controls.

    Attributes:
        effect: estimated change of the logit difference, in logits; one item per pair, NaN as in
            `PatchResult`.
        base: logit difference of each base prompt, shape (n_pairs,).
        source: logit difference of each source prompt, shape (n_pairs,).
        failures: cause of the failure of each pair that failed, by its index.
        control_failures: cause of each failure of a prompt that only a control needs, by the index
            of the pair and the name of the control.
    """

    effect: SiteCurve
    base: Float64Array
    source: Float64Array
    failures: Mapping[int, str]
    control_failures: Mapping[tuple[int, str], str]

    def ranked(self) -> tuple[Place, ...]:
        """Return the places by decreasing size of the mean effect, undefined ones left out."""
        sizes = np.abs(_place_means(self.effect))
        order = np.argsort(-sizes, kind="stable")
        return tuple(self.effect.places[n] for n in order if not np.isnan(sizes[n]))

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table of estimates, and the number of failures."""
        tables, sentences = self.effect.displayed()
        return tables, (*sentences, f"{len(self.failures)} pairs failed.")


def rank_correlation(first: SiteCurve, second: SiteCurve) -> float:
    """Return Spearman's rank correlation of two curves over their places.

    Each place has the mean over concepts; places where one of the means is undefined are left out.

    Returns:
        From -1 to 1; NaN with fewer than three places, or if a curve is constant.

    Raises:
        InvalidInputError: if the curves have different places.
    """
    if first.places != second.places:
        raise InvalidInputError(
            f"Expected two curves with the same places, got {len(first.places)} and "
            f"{len(second.places)} places that differ. Select common places with `at`."
        )
    means = np.stack([_place_means(curve) for curve in (first, second)])
    means = means[:, ~np.isnan(means).any(axis=0)]
    if means.shape[1] < 3 or (np.ptp(means, axis=1) == 0).any():
        return float("nan")
    return float(spearmanr(*means).statistic)


def _place_means(curve: SiteCurve) -> Float64Array:
    """Return the mean over concepts at each place; NaN if it is undefined."""
    return column_means(curve.concept_means()[1])

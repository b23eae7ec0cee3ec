"""Quality of a codebook: how its codes are used, and what they keep of the features.

Conventions:
    Measure a codebook on clips that it was not fitted on. `metrics.codebook` defines the measures.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.codebook import (
    code_perplexity,
    codes_in_use,
    count_codes,
    explained_variance,
    label_information,
    largest_share,
)
from audioprobe.metrics.label_metrics import macro, per_label, roc_auc
from audioprobe.metrics.validation import validate_binary
from audioprobe.models.encoders.linear_head import PENALTIES, fit_linear_head, held_out_clips
from audioprobe.models.tokenizers.centroids import unit_vectors
from audioprobe.models.tokenizers.codes import assign_codes
from audioprobe.types import BoolArray, Estimate, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CodebookMeasures(Displayed):
    """Measures of a codebook on some clips.

    Attributes:
        n_codes: number of codes of the codebook.
        n_frames: number of feature vectors.
        codes_in_use: number of codes that occur.
        perplexity: exponential of the entropy of the codes, from 1 to `n_codes`.
        largest_share: share of the most frequent code.
        explained_variance: share of the variance of the feature vectors, of length 1, that their
            centroids explain; None if the vectors are all equal.
        label_information: share of the entropy of a label that the code of a frame explains, macro
            mean; None without labels.
        permuted_information: the same after a permutation of the clips, which shows the bias of
            the measure; None without labels.
        continuous_auc: macro AUC of a linear probe on the mean feature vector of a clip; None
            without labels.
        quantized_auc: the same for the mean centroid of a clip: how much of it the codes keep. None
            without labels.
    """

    n_codes: int
    n_frames: int
    codes_in_use: int
    perplexity: float | None
    largest_share: float | None
    explained_variance: float | None
    label_information: Estimate | None = None
    permuted_information: Estimate | None = None
    continuous_auc: Estimate | None = None
    quantized_auc: Estimate | None = None

    def displayed(self) -> tuple[Sequence[Table], Sequence[str]]:
        """Return a table with one row per measure."""
        values = {
            "codes in use": f"{self.codes_in_use} of {self.n_codes}",
            "perplexity": _shown(self.perplexity, ".1f"),
            "share of the most frequent code": _shown(self.largest_share, ".3f"),
            "explained variance": _shown(self.explained_variance, ".3f"),
        }
        estimates = {
            "label information": self.label_information,
            "label information, permuted clips": self.permuted_information,
            "AUC of a linear probe, continuous": self.continuous_auc,
            "AUC of a linear probe, quantized": self.quantized_auc,
        }
        values |= {name: str(value) for name, value in estimates.items() if value is not None}
        return [Table(("measure", "value"), tuple(values.items()))], []


def measure_codebook(
    features: Iterable[npt.ArrayLike],
    centroids: npt.ArrayLike,
    targets: npt.ArrayLike | None = None,
    *,
    groups: Sequence[Hashable] | None = None,
    penalty: float | Sequence[float] = PENALTIES,
    seed: int = 0,
) -> CodebookMeasures:
    """Measure a codebook on clips that it was not fitted on.

    Args:
        features: shape (n_clips, n_frames, width), or an array of shape (n_frames, width) for each
            clip.
        centroids: shape (n_codes, width), such as `KMeansTokenizer.centroids`.
        targets: shape (n_clips, n_labels), True or 1 where a clip has a label; None leaves out the
            measures that need labels.
        groups: group of each clip, such as its recording. Linear probes are trained on four fifths
            of the groups and tested on the others. None means that each clip is its own group.
        penalty: factor of the L2 penalty of linear probes; see `fit_linear_head`.
        seed: seed of the division of the groups, the permutation and the fit.

    Raises:
        InvalidInputError: if an argument has another shape, or there are fewer than 3 groups.
        NonFiniteError: if a feature or a centroid is NaN or infinite.
    """
    clips, points = [np.asarray(clip, dtype=np.float32) for clip in features], np.asarray(centroids)
    if not clips or any(clip.ndim != 2 or not len(clip) for clip in clips):
        raise InvalidInputError(
            "Expected features of at least one clip, of shape (n_frames, width) with at least one "
            f"frame, got {len(clips)} clips of shapes {[clip.shape for clip in clips][:3]}."
        )
    codes = [assign_codes(clip, points) for clip in clips]
    counts = count_codes(codes, len(points))
    directions = unit_vectors(np.concatenate(clips))
    measures: dict[str, Estimate] = {}
    if targets is not None:
        present = validate_binary(targets, "targets", n_dimensions=2)
        measures = _information(counts, present, seed)
        means = {
            "continuous_auc": np.stack([clip.mean(axis=0) for clip in clips]),
            "quantized_auc": np.stack([points[row].mean(axis=0) for row in codes]),
        }
        is_test = held_out_clips(len(clips), groups, seed)
        for name, values in means.items():
            measures[name] = _probe_auc(
                values, present, is_test, groups=groups, penalty=penalty, seed=seed
            )
    return CodebookMeasures(
        n_codes=len(points),
        n_frames=len(directions),
        codes_in_use=codes_in_use(counts),
        perplexity=code_perplexity(counts),
        largest_share=largest_share(counts),
        explained_variance=explained_variance(directions, points[np.concatenate(codes)]),
        **measures,
    )


def _information(counts: IntArray, present: BoolArray, seed: int) -> dict[str, Estimate]:
    """Return the label information, and that of permuted clips."""
    permuted = present[np.random.default_rng(seed).permutation(len(present))]
    return {
        "label_information": macro(label_information(counts, present)),
        "permuted_information": macro(label_information(counts, permuted)),
    }


def _probe_auc(
    values: FloatArray,
    present: BoolArray,
    is_test: BoolArray,
    *,
    groups: Sequence[Hashable] | None,
    penalty: float | Sequence[float],
    seed: int,
) -> Estimate:
    """Return the macro AUC of a linear probe of clips, values of shape (n_clips, width).

    A label that is in all training clips or in none is undefined.
    """
    train = np.flatnonzero(~is_test)
    train_groups = None if groups is None else [groups[n] for n in train]
    head = fit_linear_head(
        values[train][:, None], present[train], penalty=penalty, groups=train_groups, seed=seed
    )
    aucs = per_label(roc_auc, present[is_test], head.frame_logits(values[is_test]))
    n_positive = present[train].sum(axis=0).tolist()
    is_trained = [0 < n < len(train) for n in n_positive]
    return macro([auc if ok else None for auc, ok in zip(aucs, is_trained, strict=True)])


def _shown(value: float | None, digits: str) -> str:
    return "undefined" if value is None else format(value, digits)

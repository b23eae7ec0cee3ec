"""Texts that stand for a label: its names and descriptions, inserted into templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.texts import checked_synonyms, checked_templates, label_variants
from audioprobe.types import Float64Array, Option


@dataclass(frozen=True, slots=True)
class LabelTexts:
    """Templates and synonyms that convert labels to texts.

    Attributes:
        templates: texts around a name; "{}" stands for the name.
        synonyms: other names or descriptions, keyed by label.
    """

    templates: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def checked(
        cls, template: str | Sequence[str], synonyms: Mapping[str, Sequence[str]] | None = None
    ) -> Self:
        """Check the arguments of a classifier or scorer.

        Args:
            template: one template, or several.
            synonyms: other names or descriptions, keyed by label.

        Raises:
            InvalidInputError: if a template does not have "{}" exactly once, if there is no
                template, if templates are repeated, or if synonyms are not lists of texts.
        """
        return cls(checked_templates(template), checked_synonyms(synonyms))

    def names(self, label: str) -> tuple[str, ...]:
        """Return the label and its synonyms, each once."""
        return label_variants(label, self.synonyms)

    def of(self, label: str) -> tuple[str, ...]:
        """Return the texts of a label: each of its names in each template, ordered by name."""
        return tuple(text for name in self.names(label) for text in self.inserted(name))

    def inserted(self, text: str) -> tuple[str, ...]:
        """Return a text in each template."""
        return tuple(template.replace("{}", text) for template in self.templates)

    @property
    def options(self) -> dict[str, Option]:
        """Templates and synonyms by name, for the provenance of a result."""
        template = self.templates[0] if len(self.templates) == 1 else self.templates
        synonyms = {f"synonyms of {label}": names for label, names in self.synonyms.items()}
        return {"template": template, **synonyms}


def mean_directions(vectors: npt.ArrayLike, counts: Sequence[int]) -> Float64Array:
    """Return the normalised mean of the normalised vectors of each group: an ensemble of texts.

    This is how CLIP averages prompt templates (Radford et al. 2021, section 3.1.4; `open_clip`,
    `build_zero_shot_classifier`).

    Args:
        vectors: shape (n_texts, width); no vector is zero.
        counts: number of consecutive vectors in each group.

    Returns:
        Unit vectors, shape (n_groups, width).

    Raises:
        InvalidInputError: if the vectors of a group cancel each other.
    """
    array = np.asarray(vectors, dtype=np.float64)
    units: Float64Array = array / np.linalg.norm(array, axis=1, keepdims=True)
    sums = np.add.reduceat(units, np.cumsum([0, *counts[:-1]]), axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise InvalidInputError(
            "The embeddings of the texts of a label cancel each other. Use fewer templates or "
            "synonyms."
        )
    means: Float64Array = sums / lengths
    return means

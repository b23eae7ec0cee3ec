"""Tuned lens: affine translators from the states of layers to those of the last layer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.io.atomic import atomic_open
from audioprobe.io.json_codec import canonical_json
from audioprobe.parsing import parse_json
from audioprobe.protocols import Inspectable

Translator: TypeAlias = tuple[Tensor, Tensor]
"""Matrix A, shape (width, width), and offset b, shape (width,), of a site."""

_MATRIX, _OFFSET = ".matrix", ".offset"


@dataclass(frozen=True, slots=True, eq=False)
class TunedLens:
    """Affine translators of a model (Belrose et al. 2023, arXiv 2303.08112).

    States h of a site are read as logits of h + A h + b, where A and b were trained so that these
    logits predict the output of the model. A lens belongs to one model. It was trained at the
    positions of some spans, and says nothing about other positions.

    Attributes:
        model: identity of the model, from its `info`, as JSON text.
        spans: spans at which the lens was trained.
        last: site of the last layer, whose states need no translator.
        matrices: matrix A of each site, shape (width, width), float32.
        offsets: vector b of each site, shape (width,), float32.
    """

    model: str
    spans: tuple[str, ...]
    last: str
    matrices: Mapping[str, Tensor]
    offsets: Mapping[str, Tensor]

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that have a translator."""
        return tuple(self.matrices)

    def translate(self, site: str, states: Tensor) -> Tensor:
        """Return states of a site as states of the last layer.

        Args:
            site: a site with a translator, or the last layer, whose states do not change.
            states: shape (..., width).

        Raises:
            InvalidInputError: if the lens has no translator of the site.
        """
        if site == self.last:
            return states
        self._check_site(site)
        return translated(states, self.matrices[site], self.offsets[site])

    def check(
        self, model: Inspectable, sites: Sequence[str] = (), spans: Sequence[str] = ()
    ) -> None:
        """Raise `InvalidInputError` unless the lens can read a model at sites and spans."""
        if self.model != identity_of(model):
            raise InvalidInputError(
                f"Expected a tuned lens of the model {model.info.name!r} with the same weights and "
                "options, got a lens of another one. Train a lens for this model."
            )
        for site in sites:
            if site not in (self.last, "lm.norm", "lm.logits"):  # need no translator
                self._check_site(site)
        for span in spans:
            trained = span.split("[")[0]  # a time range of the audio is part of the audio
            if span not in self.spans and trained not in self.spans:
                raise InvalidInputError(
                    f"Expected a span at which the tuned lens was trained ({', '.join(self.spans)}"
                    f"), got {span!r}. A lens says nothing about other positions: train one there."
                )

    def _check_site(self, site: str) -> None:
        if site not in self.matrices:
            raise InvalidInputError(
                f"Expected a site of the tuned lens ({', '.join(self.sites)}), got {site!r}. Train "
                "the lens at this site, too."
            )

    def save(self, path: str | Path) -> Path:
        """Write the lens as safetensors, atomically; the folder must exist."""
        tensors = {site + _MATRIX: matrix for site, matrix in self.matrices.items()}
        tensors |= {site + _OFFSET: offset for site, offset in self.offsets.items()}
        metadata = {"model": self.model, "last": self.last, "spans": json.dumps(self.spans)}
        file = Path(path)
        with atomic_open(file) as stream:
            stream.write(save({k: v.contiguous() for k, v in tensors.items()}, metadata))
        return file

    @classmethod
    def load(cls, path: str | Path, model: Inspectable) -> "TunedLens":
        """Read a lens that `save` wrote.

        Args:
            path: the file.
            model: the model for which the lens was trained.

        Raises:
            WeightsError: if the file cannot be read, or contains no lens.
            InvalidInputError: if the lens belongs to another model.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            names = [k.removesuffix(_MATRIX) for k in tensors if k.endswith(_MATRIX)]
            sites = tuple(site for site in model.sites if site in names)
            lens = cls(
                metadata["model"],
                tuple(parse_json(metadata["spans"])),
                metadata["last"],
                {site: tensors.pop(site + _MATRIX) for site in sites},
                {site: tensors.pop(site + _OFFSET) for site in sites},
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{path}: cannot be read as a tuned lens ({type(error).__name__}: {error}). "
                "Expected a file that TunedLens.save wrote."
            ) from error
        lens.check(model)
        parts = (*lens.matrices.values(), *lens.offsets.values())
        if tensors or not all(torch.isfinite(part).all() for part in parts):
            raise WeightsError(
                f"{path}: expected finite translators of sites of the model, got others "
                f"({', '.join(tensors) or 'NaN or infinity'}). Train the lens again."
            )
        return lens


def translated(states: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Return h + A h + b for states h of shape (..., width), in float32."""
    values = states.to(matrix.device).float()
    return values + values @ matrix.T + offset


def identity_of(model: Inspectable) -> str:
    """Return the identity of a model as JSON text."""
    return canonical_json(model.info)

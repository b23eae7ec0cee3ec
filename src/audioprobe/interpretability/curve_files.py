"""Files of curves over sites: arrays in one safetensors file, and everything else in JSON.

A folder contains `curves.safetensors` with the values and the controls of each curve in float64
(NaN where a value is undefined), and `curves.json` with places, concepts, items and provenance.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.atomic import atomic_open, atomic_write
from audioprobe.parsing import parse_json
from audioprobe.types import Float64Array

CURVES, ARRAYS = "curves.json", "curves.safetensors"
"""Names of the two files in a folder."""

NO_PROVENANCE: Mapping[str, Any] = MappingProxyType({})
"""No provenance."""

_FORMAT = 1


def save_curves(
    curves: Mapping[str, SiteCurve],
    folder: str | Path,
    provenance: Mapping[str, Any] = NO_PROVENANCE,
) -> Path:
    """Write curves into a folder, which is created if necessary; older curves in it are replaced.

    `curves.json` is written last: a folder that contains it has complete arrays.

    Args:
        curves: the curves by name; their concepts must be texts.
        folder: the folder.
        provenance: where the curves come from, such as model, data and versions; plain JSON data.

    Returns:
        The path of `curves.json`.

    Raises:
        InvalidInputError: if a concept is not a text, or the provenance is not plain JSON data.
    """
    path = Path(folder)
    arrays: dict[str, Float64Array] = {}
    cards = {}
    for number, (name, curve) in enumerate(curves.items()):
        cards[name] = _card(name, curve)
        for position, values in enumerate((curve.values, *curve.controls.values())):
            arrays[f"{number}.{position}"] = np.ascontiguousarray(values, dtype=np.float64)
    try:
        text = json.dumps(
            {"format": _FORMAT, "provenance": dict(provenance), "curves": cards},
            indent=1,
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"Expected a provenance of plain JSON data without NaN, got other values ({error}). "
            "Convert them to texts or finite numbers."
        ) from error
    path.mkdir(parents=True, exist_ok=True)
    (path / CURVES).unlink(missing_ok=True)
    with atomic_open(path / ARRAYS) as stream:
        stream.write(save(arrays))
    return atomic_write(path / CURVES, text)


def load_curves(folder: str | Path) -> dict[str, SiteCurve]:
    """Read the curves that `save_curves` wrote.

    Raises:
        InvalidInputError: if a file is missing or damaged.
    """
    path = Path(folder)
    content = _read(path)
    try:
        arrays = load_file(path / ARRAYS)
        return {
            name: _curve(card, arrays, number)
            for number, (name, card) in enumerate(content["curves"].items())
        }
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{path}: expected the curves of {CURVES} in {ARRAYS}, got a missing or damaged file "
            f"({error}). Compute the curves again."
        ) from error


def load_provenance(folder: str | Path) -> dict[str, Any]:
    """Return the provenance that was passed to `save_curves`.

    Raises:
        InvalidInputError: if `curves.json` is missing or damaged.
    """
    return dict(_read(Path(folder))["provenance"])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = parse_json((path / CURVES).read_text(encoding="utf-8"))
        complete = content["format"] == _FORMAT and all(
            isinstance(content.get(name), dict) for name in ("provenance", "curves")
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidInputError(
            f"{path}: expected a folder with {CURVES}, got none that can be read ({error})."
        ) from error
    if not complete:
        raise InvalidInputError(
            f"{path}: expected curves in format {_FORMAT}, got format {content['format']!r}. Read "
            "them with the version of audioprobe that wrote them."
        )
    return dict(content)


def _card(name: str, curve: SiteCurve) -> dict[str, Any]:
    """Return everything of a curve but its arrays, as plain JSON data."""
    if other := [concept for concept in curve.concepts if not isinstance(concept, str)]:
        raise InvalidInputError(
            f"{name}: expected texts as concepts of a curve that is stored, got {other[0]!r}. Use "
            "the ids of the concepts."
        )
    return {
        "measure": curve.measure,
        "places": [[place.site, place.span] for place in curve.places],
        "concepts": list(curve.concepts),
        "controls": list(curve.controls),
        "neutral": curve.neutral,
        "items": list(curve.items),
    }


def _curve(card: Mapping[str, Any], arrays: Mapping[str, Float64Array], number: int) -> SiteCurve:
    return SiteCurve(
        measure=card["measure"],
        places=tuple(Place(site, span) for site, span in card["places"]),
        concepts=tuple(card["concepts"]),
        values=arrays[f"{number}.0"],
        controls={
            name: arrays[f"{number}.{position}"]
            for position, name in enumerate(card["controls"], 1)
        },
        neutral=card["neutral"],
        items=tuple(card["items"]),
    )

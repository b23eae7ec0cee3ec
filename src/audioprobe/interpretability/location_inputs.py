"""Curves from which `locate` draws conclusions, and the evidence of some of their items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.interpretability.curve_bands import column_means
from audioprobe.interpretability.location_evidence import (
    NOT_MEASURED,
    LocationCriteria,
    StageEvidence,
    contrasts_of,
    evidence_of,
    onset,
)
from audioprobe.interpretability.location_rules import LocationEvidence
from audioprobe.interpretability.patched_runs import layer_of
from audioprobe.interpretability.probe_curve import CEILING
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.types import BoolArray, Float64Array

_ROUNDING = 1e-3  # change of a logit difference, relative to its size
_LATE = 2 / 3  # relative depth from which layers are the last ones
_CONNECTOR = ("connector.out", "lm.embed")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LocationInputs:
    """Curves of the same audio prompts, and of text.

    Attributes:
        probes: curve of probes at all sites and spans.
        answers: logit difference of each item without intervention, at a single place.
        patch: recovered share of text states.
        knock_out: change of the logit difference without attention to audio.
        text: curve of probes of text; its items are other prompts about the same concepts.
        transfer: curve of probes that were trained on text.
        n_layers: number of layers of the language model; 0 means the last layer of the probes.
        criteria: level and share of the tests.
    """

    probes: SiteCurve
    answers: SiteCurve
    patch: SiteCurve | None
    knock_out: SiteCurve | None
    text: SiteCurve | None
    transfer: SiteCurve | None
    n_layers: int
    criteria: LocationCriteria

    def only(self, items: BoolArray) -> "LocationInputs":
        """Return the inputs of some items, and of text about their concepts."""

        def part(curve: SiteCurve | None) -> SiteCurve | None:
            return None if curve is None else curve.only(items)

        text, concepts = self.text, set(self.probes.only(items).concepts)
        if text is not None:
            text = text.only(np.array([c in concepts for c in text.concepts], dtype=np.bool_))
        return replace(
            self,
            probes=self.probes.only(items),
            answers=self.answers.only(items),
            patch=part(self.patch),
            knock_out=part(self.knock_out),
            text=text,
            transfer=part(self.transfer),
        )

    def evidence(self) -> LocationEvidence:
        """Return the evidence about each stage."""
        encoder, reference = self._stage(_is_encoder, None, last_only=True)
        connector, reference = self._stage(_is_connector, reference, last_only=True)
        audio, reference = self._stage(_is_audio, reference)
        last, _ = self._stage(_is_last, reference)
        answers = self.answers.concept_means()[1]
        return LocationEvidence(
            encoder=encoder,
            connector=connector,
            audio=audio,
            last=last,
            used=self._used(np.abs(answers[:, 0])),
            shared_code=self._shared_code(),
            answers=self.criteria.signs(answers)[0],
            recovered=self._recovered(),
            text=None if self.text is None else self._text_sites(self.text),
            late=self._late_sites(),
        )

    def _stage(
        self,
        belongs: Callable[[Place], bool],
        reference: Float64Array | None,
        *,
        last_only: bool = False,
    ) -> tuple[StageEvidence, Float64Array | None]:
        """Return the evidence of a stage, and the reference of the stages after it.

        Args:
            belongs: whether a place belongs to the stage.
            reference: contrast of each concept in the last stage before that has the label; None
                stands for a perfect value, 1 minus the control.
            last_only: whether the last place alone counts, which the next stage receives.
        """
        curve = _places(self.probes, belongs, last_only=last_only)
        contrasts = contrasts_of(curve)
        if not curve.places:
            return NOT_MEASURED, reference
        if reference is None:
            control = curve.concept_means()[1] - contrasts
            compared = 1 - column_means(control.T)
        else:
            compared = reference
        evidence = evidence_of(curve, contrasts, compared, self.criteria)
        if not last_only:
            evidence = replace(evidence, depth=onset(contrasts, self._depths(curve), self.criteria))
        if evidence.presence == "yes" and evidence.place is not None:
            return evidence, contrasts[:, curve.places.index(evidence.place)]
        return evidence, reference

    def _depths(self, curve: SiteCurve) -> list[float]:
        """Return the relative depth of each place of the language model."""
        layers = [layer_of(place.site) for place in self.probes.places]
        n_layers = self.n_layers or max((1 + n for n in layers if n is not None), default=1)
        return [_depth(place.site, n_layers) for place in curve.places]

    def _used(self, sizes: Float64Array) -> StageEvidence:
        """Return whether removing attention to audio makes answers worse.

        `sizes` is the size of the logit difference of each concept.
        """
        if self.knock_out is None:
            return NOT_MEASURED
        curve = _places(self.knock_out, _is_from_audio)
        harm, contrasts = -curve.concept_means()[1], -contrasts_of(curve)
        # Rounding errors can have the same sign for all concepts, so they would be significant.
        contrasts[np.abs(contrasts) < _ROUNDING * sizes[:, None]] = 0.0
        return evidence_of(curve, contrasts, sizes, self.criteria, harm)

    def _shared_code(self) -> StageEvidence:
        """Return whether probes of text work on audio, relative to probes of audio."""
        curve = self.transfer
        if curve is None:
            return NOT_MEASURED
        contrasts = contrasts_of(curve)
        ceiling = contrasts + curve.concept_means(CEILING)[1] - curve.concept_means()[1]
        best = int(np.argmax(np.nan_to_num(column_means(ceiling), nan=-np.inf)))
        return evidence_of(curve, contrasts, ceiling[:, best], self.criteria)

    def _recovered(self) -> dict[str, int]:
        """Return whether more (1) or less (-1) than the share is recovered at each patched site."""
        if self.patch is None:
            return {}
        curve = _places(self.patch, _is_last)
        signs = self.criteria.signs(curve.concept_means()[1] - self.criteria.share)
        return {place.site: sign for place, sign in zip(curve.places, signs, strict=True)}

    def _late_sites(self) -> frozenset[str]:
        """Return the patched sites of the last third of the layers."""
        if self.patch is None:
            return frozenset()
        depths = zip(self.patch.places, self._depths(self.patch), strict=True)
        return frozenset(place.site for place, depth in depths if depth >= _LATE)

    def _text_sites(self, text: SiteCurve) -> frozenset[str]:
        """Return the sites at which the label is readable from text at the last position."""
        curve = _places(text, _is_last)
        signs = self.criteria.signs(contrasts_of(curve))
        return frozenset(p.site for p, sign in zip(curve.places, signs, strict=True) if sign == 1)


def joined_probes(curves: Sequence[SiteCurve]) -> SiteCurve:
    """Return one curve with the places of several curves of the same items.

    Its control is the first control of each curve.
    """
    first = curves[0]
    controls = [next(iter(c.controls.values()), np.full(c.values.shape, c.neutral)) for c in curves]
    return SiteCurve(
        measure=first.measure,
        places=tuple(place for curve in curves for place in curve.places),
        concepts=first.concepts,
        values=np.concatenate([curve.values for curve in curves], axis=1),
        controls={"control": np.concatenate(controls, axis=1)},
        items=first.items,
    )


def _places(
    curve: SiteCurve, belongs: Callable[[Place], bool], *, last_only: bool = False
) -> SiteCurve:
    """Return the curve at the places that belong to a stage, or at the last one of them."""
    columns = [n for n, place in enumerate(curve.places) if belongs(place)]
    columns = columns[-1:] if last_only else columns
    return replace(
        curve,
        places=tuple(curve.places[n] for n in columns),
        values=curve.values[:, columns],
        controls={name: values[:, columns] for name, values in curve.controls.items()},
    )


def _is_encoder(place: Place) -> bool:
    is_input = place.site == "encoder.input"
    return place.site.startswith("encoder.") and not is_input


def _is_connector(place: Place) -> bool:
    return place.site in _CONNECTOR and _is_from_audio(place)


def _is_audio(place: Place) -> bool:
    return _is_layer(place) and place.site not in _CONNECTOR and _is_from_audio(place)


def _is_last(place: Place) -> bool:
    return _is_layer(place) and place.span.split("->")[-1].strip() == "last"


def _is_from_audio(place: Place) -> bool:
    return place.span.startswith("audio")


def _is_layer(place: Place) -> bool:
    return place.site.startswith("lm.") and place.site != "lm.logits"


def _depth(site: str, n_layers: int) -> float:
    """Return the depth of a site of the language model: 0 for its input, 1 for its last layer."""
    layer = layer_of(site)
    if layer is not None:
        return min(1.0, (1 + layer) / n_layers)
    return 0.0 if site == "lm.embed" else 1.0

"""Rules that turn evidence about stages into the stage at which a label is lost.

The rules, in this order:

1. "nowhere": answers are right, and they depend on the audio (knock-out).
2. The label is readable at the last position. Text states are copied there at the places where the
   label is readable from audio and from text (patching):
   - "overruled in the last layers": at one of these places, significantly less of the answer than
     the share is recovered, and significantly more at a later place. So the layers between change
     the answer although the last position contains the text's own state.
   - "unread": more than the share is recovered, at no place less, and the answers are wrong or do
     not depend on the audio. So a state that contains the label in the form of text would be used.
3. "unread": the label is readable from audio tokens (connector or language model), and absent at
   the last position.
4. "encoder": the label is absent at the output of the encoder.
5. "connector": the label is present there, and absent after the connector.
6. Otherwise "cannot be decided", as where answers depend on the audio but the label is not
   readable at the last position.

A label that is readable at a stage passed all stages before it, so absence in an earlier one is not
considered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audioprobe.interpretability.location_evidence import StageEvidence

Loss: TypeAlias = Literal[
    "nowhere",
    "encoder",
    "connector",
    "unread",
    "overruled in the last layers",
    "cannot be decided",
]
"""Stage at which a label is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationEvidence:
    """Evidence about a group of concepts.

    Attributes:
        encoder: output of the encoder.
        connector: output of the connector.
        audio: audio positions of the language model.
        last: last position of the prompt in the language model.
        used: whether removing attention from audio changes the answers to the worse.
        shared_code: whether a probe of text states works on audio states.
        answers: 1 if answers are significantly right, -1 if wrong, otherwise 0.
        recovered: for each patched site, in the order of the forward pass: 1 if significantly more
            than the share is recovered at the last position, -1 if less, otherwise 0.
        text: sites at which the label is readable from text at the last position; None if it was
            not measured.
        late: sites of the last third of the layers. Earlier, text states at the last position may
            have no effect only because later layers read the other positions again.
    """

    encoder: StageEvidence
    connector: StageEvidence
    audio: StageEvidence
    last: StageEvidence
    used: StageEvidence
    shared_code: StageEvidence
    answers: int
    recovered: Mapping[str, int]
    text: frozenset[str] | None
    late: frozenset[str]


def loss_of(evidence: LocationEvidence) -> tuple[Loss, str]:
    """Return the stage at which a label is lost, and the reason as a sentence."""
    used = evidence.used.presence
    if used == "yes" and evidence.answers == 1:
        return "nowhere", "Answers are right on average, and depend on the audio."
    if evidence.last.presence == "yes":
        return _after_reading(evidence)
    if used == "yes":
        return "cannot be decided", (
            "Answers depend on the audio, but the label is not readable at the last position."
        )
    return _before_reading(evidence)


def _before_reading(evidence: LocationEvidence) -> tuple[Loss, str]:
    """Return the loss of a label that is not readable at the last position."""
    if "yes" in (evidence.audio.presence, evidence.connector.presence):
        if evidence.last.presence == "no":
            code = " Text and audio have different codes."
            return "unread", (
                "The label is readable from audio tokens, and absent at the last position."
                + code * (evidence.shared_code.presence == "no")
            )
        return "cannot be decided", (
            "The label is readable from audio tokens; at the last position it is "
            f"{evidence.last.presence}."
        )
    if evidence.encoder.presence == "no":
        return "encoder", "The label is absent at the output of the encoder."
    if evidence.encoder.presence == "yes" and evidence.connector.presence == "no":
        return "connector", "The label is readable before the connector, and absent after it."
    return "cannot be decided", (
        f"Presence at the encoder is {evidence.encoder.presence}, at the connector "
        f"{evidence.connector.presence}."
    )


def _after_reading(evidence: LocationEvidence) -> tuple[Loss, str]:
    """Return the loss of a label that is readable at the last position."""
    if not evidence.recovered:
        return "cannot be decided", (
            "The label is readable at the last position; a patch curve is needed to decide whether "
            "it is unread or overruled."
        )
    known = evidence.late & evidence.recovered.keys()
    sites = [place.site for place in evidence.last.readable if place.site in known]
    if evidence.text is not None:
        sites = [site for site in sites if site in evidence.text]
    order = list(evidence.recovered)
    recovered = [evidence.recovered[site] for site in sites]
    for site, sign in zip(sites, recovered, strict=True):
        later = [evidence.recovered[name] for name in order[order.index(site) + 1 :]]
        if sign == -1 and 1 in later and evidence.answers != 1:
            if evidence.text is None:
                return "cannot be decided", (
                    f"Text states at {site} do not recover the answer; a probe curve of text is "
                    "needed to decide whether they contain the label already."
                )
            return "overruled in the last layers", (
                f"The label is readable at {site}, but even text states do not recover the answer "
                "there."
            )
    is_unused = evidence.used.presence == "no" or (
        evidence.answers == -1 and evidence.used.presence != "yes"
    )
    if 1 in recovered and -1 not in recovered and is_unused:
        return "unread", (
            "The label is readable at the last position, but only text states there change the "
            "answer: it is in a form that is not used."
        )
    return "cannot be decided", (
        "The label is readable at the last position; patching does not decide whether it is used."
    )

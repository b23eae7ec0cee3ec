"""What each arm receives of the audio: in training questions, and as a model that answers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from audioprobe.concepts import Concepts
from audioprobe.experiments.architectures.config import Arm
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.tag_texts import (
    KnownLabels,
    Rewrite,
    WithoutAudio,
    captioned,
    clip_probabilities,
    without_audio,
)
from audioprobe.experiments.architectures.tool_plans import SceneTools, agent_tools
from audioprobe.models.cascade import Cascade
from audioprobe.models.ltu.model import LTU
from audioprobe.models.tag_captioner import TagCaptioner
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.models.tool_agent.text_controllers import TextController
from audioprobe.protocols import LikelihoodModel, Tagger
from audioprobe.types import Decoding

_BATCH = 16  # prompts per forward pass
_STEP = Decoding(max_new_tokens=64)  # of a controller; a longer step is malformed


def rewrite_of(arm: Arm, materials: ArmMaterials) -> Rewrite | None:
    """Return the function that rewrites training questions for an arm; None for audio tokens."""
    if arm.input == "tokens":
        return None
    if arm.input == "nothing":
        return without_audio
    if arm.input == "tools":
        return SceneTools(materials)
    captioner = captioner_of(materials.tagger)

    def caption(row: int) -> str:
        if arm.input == "tags":
            probabilities = clip_probabilities(materials.scene_logits(row))
        else:
            probabilities = materials.training_features.labels[row].float().numpy()
        return captioner.describe(probabilities).text

    return partial(captioned, caption=caption)


def captioner_of(tagger: Tagger) -> TagCaptioner:
    """Return the captioner of arms that receive tags as text."""
    return TagCaptioner(tagger, max_tags=5, possible=0.05, probabilities=True)


def _known_labels(tagger: Tagger, truth: Mapping[str, Sequence[str]]) -> KnownLabels:
    """Return a tagger with the true labels of clips, also those that no training scene has."""
    shipped = {concept.name: concept.phrase for concept in Concepts.shipped()}
    phrases = dict(zip(tagger.labels, tagger.phrases, strict=True))
    for label in chain(*truth.values()):
        phrases.setdefault(label, shipped.get(label, label))
    return KnownLabels(tuple(phrases), tuple(phrases.values()), truth)


def answering_model(
    arm: Arm, folder: Path, materials: ArmMaterials, truth: Mapping[str, Sequence[str]]
) -> LikelihoodModel:
    """Return the model of a trained arm, which answers questions about waveforms.

    Args:
        arm: the architecture.
        folder: folder of the trained network.
        materials: data of the study.
        truth: labels of each test clip, by the digest of its waveform; for true tags only.
    """
    model = LTU.from_pretrained(folder, base=materials.recipe.base, batch_size=_BATCH)
    tagger = materials.tagger
    makers: dict[str, Callable[[], object]] = {
        "tokens": lambda: model,
        "nothing": lambda: WithoutAudio(model),
        "tags": lambda: Cascade(captioner_of(tagger), model),
        "true tags": lambda: Cascade(captioner_of(_known_labels(tagger, truth)), model),
        "tools": lambda: ToolAgent(
            TextController(model, "short", decoding=_STEP),
            agent_tools(tagger),
            max_calls=2,
            batch_size=_BATCH,
        ),
    }
    made = makers[arm.input]()
    assert isinstance(made, LikelihoodModel)  # noqa: S101 - LTUs return likelihoods
    return made

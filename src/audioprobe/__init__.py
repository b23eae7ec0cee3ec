"""Find out what audio language models really hear.

Clips go in, an audio language model describes them, a scorer turns words into numbers per label, a
metric turns numbers into estimates, a report shows them. Names are loaded when they are first used:
importing this package loads neither numpy nor torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "audioprobe.responses": ("Decoding", "LogLikelihood", "Response"),
    "audioprobe.types": (
        "Clip",
        "ComponentInfo",
        "Estimate",
        "Example",
        "Prompt",
        "Waveform",
    ),
    "audioprobe.protocols": (
        "AudioEncoder",
        "Component",
        "Dataset",
        "JointEncoder",
        "LanguageModel",
        "LikelihoodModel",
        "Scorer",
        "Tagger",
        "TextEmbedder",
    ),
    "audioprobe.errors": ("AudioProbeError",),
    "audioprobe.results": ("ClassificationResult", "LabelScores"),
    "audioprobe.results.evaluation": ("Evaluation",),
    "audioprobe.registry": ("available", "load"),
    "audioprobe.audio.windowing": ("Windowing",),
    "audioprobe.models.encoders.ast": ("AST",),
    "audioprobe.models.encoders.birdnet": ("BirdNET",),
    "audioprobe.models.encoders.clap": ("CLAP",),
    "audioprobe.models.cascade": ("Cascade",),
    "audioprobe.models.cached": ("CachedModel",),
    "audioprobe.models.ltu.model": ("LTU",),
    "audioprobe.models.remote.openai_chat": ("OpenAIChat",),
    "audioprobe.models.scripted": ("Scripted",),
    "audioprobe.models.tag_captioner": ("TagCaptioner",),
    "audioprobe.models.chat.model": ("TransformersLM",),
    "audioprobe.models.remote.vllm_chat": ("VllmChat",),
    "audioprobe.models.embedders.cached": ("CachedEmbedder",),
    "audioprobe.models.embedders.openai": ("OpenAIEmbedder",),
    "audioprobe.models.embedders.sentence_transformers": ("SentenceTransformerEmbedder",),
    "audioprobe.scorers.embedding": ("EmbeddingScorer",),
    "audioprobe.scorers.keyword": ("KeywordScorer",),
    "audioprobe.classification.caption": ("CaptionClassifier",),
    "audioprobe.classification.likelihood": ("LikelihoodClassifier",),
    "audioprobe.classification.zero_shot": ("ZeroShotClassifier",),
    "audioprobe.concepts": ("Concept", "Concepts"),
    "audioprobe.probing.concept_probe": ("ConceptProbe",),
    "audioprobe.probing.results": ("ProbeOutcome",),
    "audioprobe.datasets.audioset": ("AudioSet",),
    "audioprobe.datasets.debian.sounds": ("DebianSounds",),
    "audioprobe.datasets.edansa.dataset": ("EDANSA",),
    "audioprobe.datasets.esc50": ("ESC50",),
    "audioprobe.datasets.folder": ("Folder",),
    "audioprobe.datasets.fsd50k": ("FSD50K",),
    "audioprobe.datasets.manifest": ("Manifest",),
    "audioprobe.datasets.recordings": ("Recordings",),
    "audioprobe.datasets.synthetic.dataset": ("Synthetic",),
    "audioprobe.datasets.urbansound8k": ("UrbanSound8K",),
}
_SUBMODULES = ("metrics", "testing")
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, *_SUBMODULES])  # noqa: PLE0605 - the stub has them literally


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return import_module(f"audioprobe.{name}")
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'audioprobe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

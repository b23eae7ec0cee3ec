"""What `import audioprobe` offers; `__init__.py` loads each name when it is first used."""

from audioprobe import metrics as metrics
from audioprobe import testing as testing
from audioprobe.audio.windowing import Windowing as Windowing
from audioprobe.classification.caption import CaptionClassifier as CaptionClassifier
from audioprobe.classification.likelihood import LikelihoodClassifier as LikelihoodClassifier
from audioprobe.classification.zero_shot import ZeroShotClassifier as ZeroShotClassifier
from audioprobe.concepts import Concept as Concept
from audioprobe.concepts import Concepts as Concepts
from audioprobe.datasets import EDANSA as EDANSA
from audioprobe.datasets import ESC50 as ESC50
from audioprobe.datasets import FSD50K as FSD50K
from audioprobe.datasets import AudioSet as AudioSet
from audioprobe.datasets import DebianSounds as DebianSounds
from audioprobe.datasets import Folder as Folder
from audioprobe.datasets import Manifest as Manifest
from audioprobe.datasets import Recordings as Recordings
from audioprobe.datasets import UrbanSound8K as UrbanSound8K
from audioprobe.datasets.synthetic import Synthetic as Synthetic
from audioprobe.errors import AudioProbeError as AudioProbeError
from audioprobe.finetuning.strategy import Strategy as Strategy
from audioprobe.metrics.bootstrap import Bootstrap as Bootstrap
from audioprobe.metrics.threshold import FixedThreshold as FixedThreshold
from audioprobe.metrics.threshold import OracleThreshold as OracleThreshold
from audioprobe.metrics.threshold import TunedThreshold as TunedThreshold
from audioprobe.models.cached import CachedModel as CachedModel
from audioprobe.models.cascade import Cascade as Cascade
from audioprobe.models.chat.model import TransformersLM as TransformersLM
from audioprobe.models.embedders.cached import CachedEmbedder as CachedEmbedder
from audioprobe.models.embedders.model2vec import Model2VecEmbedder as Model2VecEmbedder
from audioprobe.models.embedders.openai import OpenAIEmbedder as OpenAIEmbedder
from audioprobe.models.embedders.sentence_transformers import (
    SentenceTransformerEmbedder as SentenceTransformerEmbedder,
)
from audioprobe.models.encoders.ast import AST as AST
from audioprobe.models.encoders.birdnet import BirdNET as BirdNET
from audioprobe.models.encoders.clap import CLAP as CLAP
from audioprobe.models.encoders.linear_tagger import LinearTagger as LinearTagger
from audioprobe.models.encoders.yamnet import YAMNet as YAMNet
from audioprobe.models.ltu.model import LTU as LTU
from audioprobe.models.remote.openai_chat import OpenAIChat as OpenAIChat
from audioprobe.models.remote.vllm_chat import VllmChat as VllmChat
from audioprobe.models.scripted import Scripted as Scripted
from audioprobe.models.tag_captioner import TagCaptioner as TagCaptioner
from audioprobe.models.tokenizers.kmeans import KMeansTokenizer as KMeansTokenizer
from audioprobe.models.tool_agent.agent import ToolAgent as ToolAgent
from audioprobe.probing.concept_probe import ConceptProbe as ConceptProbe
from audioprobe.probing.results import ProbeOutcome as ProbeOutcome
from audioprobe.protocols import AudioEncoder as AudioEncoder
from audioprobe.protocols import AudioTokenizer as AudioTokenizer
from audioprobe.protocols import Component as Component
from audioprobe.protocols import Dataset as Dataset
from audioprobe.protocols import FrameTagger as FrameTagger
from audioprobe.protocols import JointEncoder as JointEncoder
from audioprobe.protocols import LanguageModel as LanguageModel
from audioprobe.protocols import LikelihoodModel as LikelihoodModel
from audioprobe.protocols import Scorer as Scorer
from audioprobe.protocols import Tagger as Tagger
from audioprobe.protocols import TextEmbedder as TextEmbedder
from audioprobe.registry import available as available
from audioprobe.registry import load as load
from audioprobe.responses import Decoding as Decoding
from audioprobe.responses import LogLikelihood as LogLikelihood
from audioprobe.responses import Response as Response
from audioprobe.results import ClassificationResult as ClassificationResult
from audioprobe.results import LabelScores as LabelScores
from audioprobe.results.compare import compare as compare
from audioprobe.results.comparison import Comparison as Comparison
from audioprobe.results.evaluation import Evaluation as Evaluation
from audioprobe.results.leaderboard import Leaderboard as Leaderboard
from audioprobe.results.leaderboard import compare_many as compare_many
from audioprobe.scorers.caption_quality import audio_similarity as audio_similarity
from audioprobe.scorers.caption_quality import caption_quality as caption_quality
from audioprobe.scorers.embedding import EmbeddingScorer as EmbeddingScorer
from audioprobe.scorers.hallucination import hallucinated_events as hallucinated_events
from audioprobe.scorers.judge import JudgeScorer as JudgeScorer
from audioprobe.scorers.keyword import KeywordScorer as KeywordScorer
from audioprobe.training.arguments import TrainingArguments as TrainingArguments
from audioprobe.types import Clip as Clip
from audioprobe.types import ComponentInfo as ComponentInfo
from audioprobe.types import Estimate as Estimate
from audioprobe.types import Example as Example
from audioprobe.types import Prompt as Prompt
from audioprobe.types import Waveform as Waveform

__all__: list[str]
__version__: str

"""`ConceptProbe`: ask a model the same questions about concepts in text and about audio."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from audioprobe.audio.sources import Source
from audioprobe.concepts import Concepts
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.pairs import Negatives, RelationKind
from audioprobe.probing.probe_builder import ProbeBuilder
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.probing.questions import Condition, QuestionConfig
from audioprobe.probing.relations.concept_set import ConceptSet, from_concepts
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.probing.wordings import Form, read_wordings
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel
from audioprobe.registry import check_name, load
from audioprobe.types import Waveform


class ConceptProbe:
    """Probe that asks a model for the classes and names of concepts, in text and about audio.

    Args:
        model: a language model, or its name as `audioprobe backends` lists it.
        concepts: the concepts to ask about; None uses the shipped concepts.
        conditions: conditions under which each question is asked, such as "text" and "audio"; see
            `Condition`. None means "text", if clips are given also all conditions that need clips,
            and if spoken words are given also "spoken word".
        forms: forms of the questions: "yes-no", "negated", "choice".
        negatives: strategies for drawing false pairs of concept and class; each strategy gives a
            separate balanced set of questions. See `balanced_pairs`.
        options: wordings and settings of the prompts.
        judge: a language model (or its name) that also classifies the free-text responses; None
            means that only the rule-based parser does.
        n_clips: maximum number of clips per concept; 0 means all.
        n_orders: number of orders in which the options of a choice question are presented.
        bootstrap: how confidence intervals are computed; concepts are resampled.
        seed: seed of false pairs, wrong clips, option orders and noise.

    Raises:
        InvalidInputError: for an unknown condition or form, or an invalid file of wordings.

    Example:
        ```python
        from audioprobe import ConceptProbe, Recordings

        probe = ConceptProbe("ltu:mini", conditions=("text", "audio"))
        outcome = probe("hypernym", clips=Recordings().clips())
        print(outcome.modality_gap())
        ```
    """

    def __init__(
        self,
        model: LanguageModel | str,
        *,
        concepts: ConceptSet | Concepts | None = None,
        conditions: Sequence[Condition] | None = None,
        forms: Sequence[Form] = ("yes-no",),
        negatives: Sequence[Negatives] = ("random",),
        options: PromptingOptions | None = None,
        judge: LanguageModel | str | None = None,
        n_clips: int = 2,
        n_orders: int = 1,
        bootstrap: Bootstrap | None = None,
        seed: int = 0,
    ) -> None:
        for name in (model, judge):
            if isinstance(name, str):
                check_name("language_model", name)
        self._model_or_name, self._judge_or_name = model, judge
        self._options = options or PromptingOptions()
        self._bootstrap = bootstrap or Bootstrap()
        config = QuestionConfig(
            wordings=read_wordings(self._options.wordings),
            conditions=tuple(conditions or ()),
            forms=tuple(forms),
            n_orders=n_orders,
            n_clips=n_clips,
            seed=seed,
        )
        concept_set = concepts if isinstance(concepts, ConceptSet) else from_concepts(concepts)
        self.builder = ProbeBuilder(concept_set, config, negatives)
        """Makes the questions."""

    @cached_property
    def _model(self) -> LanguageModel:
        """The language model, loaded at first use: a wrong path is reported before weights load."""
        return load("language_model", self._model_or_name)

    @cached_property
    def _judge(self) -> LanguageModel | None:
        if self._judge_or_name is None:
            return None
        return load("language_model", self._judge_or_name)

    def __call__(
        self,
        relations: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
        familiar: Iterable[str] = (),
        progress: ProgressCallback = ignore_progress,
    ) -> ProbeOutcome:
        """Ask all questions and return the answers.

        Args:
            relations: "hypernym", "synonym" or both. If clips are given, questions for the concept
                itself ("identity") are added, to separate perception from reasoning.
            clips: labelled clips, a folder, or sound files named after their concept; None asks in
                text only. If clips are given, concepts without clips are not asked about. The
                model receives the first 10 s of each clip.
            spoken: recordings of the spoken words, by concept id; see `spoken_words`.
            familiar: ids of concepts whose sounds the model was trained on.
            progress: called with the progress of each stage.

        Raises:
            InvalidInputError: if no clip belongs to a concept, there are no questions, a relation
                is unknown, or a condition needs clips or spoken words that are not given.
            AudioProbeError: for causes that affect all questions, such as missing weights.
        """
        probe = self.builder(relations, clips, spoken=spoken)
        return run_probe(
            self._model,
            self.builder,
            probe,
            self._options,
            self._bootstrap,
            judge=self._judge,
            familiar=familiar,
            progress=progress,
        )

"""Does the model know what it hears? The same questions of the word and of the sound."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from audioprobe.audio.sources import Source
from audioprobe.concepts import Concepts
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.pairs import Negatives, RelationKind
from audioprobe.probing.probe_builder import ProbeBuilder
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.probing.questions import Condition, QuestionConfig
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.relations.shipped import from_concepts
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.probing.wordings import Form, read_wordings
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel
from audioprobe.registry import check_name, load
from audioprobe.types import Waveform


class ConceptProbe:
    """Asks about classes and names of concepts, in words and in sound.

    Args:
        model: a language model, or the name of one as `audioprobe backends` lists it.
        concepts: what is asked about; None takes the concepts that ship.
        conditions: under which each question is asked; None takes "text", and with clips also those
            that need clips, and with spoken words those.
        forms: "yes-no", "negated", "choice".
        negatives: how wrong pairs are drawn; each way gives a balanced set of its own.
        manners: how the model is asked.
        judge: a language model, or the name of one, that reads the free answers too; None leaves
            them to the rules.
        n_clips: of each concept at most; 0 takes all.
        n_orders: orders of the options of a choice.
        bootstrap: how intervals are computed; concepts are resampled.
        seed: of wrong pairs, wrong clips, orders and noise.

    Raises:
        InvalidInputError: for an unknown condition or form, or a file of wordings that is none.

    Example:
        ```python
        from audioprobe import ConceptProbe, Recordings

        probe = ConceptProbe("ltu:mini", conditions=("text", "audio"))
        outcome = probe(pairs="hypernym", clips=Recordings().clips())
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
        manners: PromptingOptions | None = None,
        judge: LanguageModel | str | None = None,
        n_clips: int = 2,
        n_orders: int = 1,
        bootstrap: Bootstrap | None = None,
        seed: int = 0,
    ) -> None:
        if isinstance(model, str):
            check_name("language_model", model)
        if isinstance(judge, str):
            check_name("language_model", judge)
        self._given_model, self._given_judge = model, judge
        self._manners = manners or PromptingOptions()
        wordings = read_wordings(self._manners.wordings)
        self.questionnaire = ProbeBuilder(
            concepts if isinstance(concepts, ConceptSet) else from_concepts(concepts),
            QuestionConfig(
                wordings, tuple(conditions or ()), tuple(forms), n_orders, n_clips, seed
            ),
            negatives,
        )
        self._bootstrap = bootstrap or Bootstrap()

    @cached_property
    def _model(self) -> LanguageModel:
        """Loaded at the first use, so that a wrong path is found before weights load."""
        return load("language_model", self._given_model)

    @cached_property
    def _judge(self) -> LanguageModel | None:
        if self._given_judge is None:
            return None
        return load("language_model", self._given_judge)

    def __call__(
        self,
        pairs: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
        familiar: Iterable[str] = (),
        progress: ProgressCallback = ignore_progress,
    ) -> ProbeOutcome:
        """Ask everything.

        Args:
            pairs: what is asked for: "hypernym", "synonym" or both. With clips, the concept itself
                ("identity") is asked for as well, for that tells perception from reasoning.
            clips: labelled clips, a folder, or sound files named after what is heard; None asks in
                words alone. Only concepts with clips are asked about. Of a long one the first 10 s
                are played.
            spoken: recordings of the words themselves, by id of the concept.
            familiar: ids of concepts that the model learned from such sound.
            progress: called with the progress of each stage.

        Raises:
            InvalidInputError: if no clip is of a concept, nothing can be asked, a relation is
                unknown, or a condition needs clips or words that are not there.
            AudioProbeError: for what no single question is the cause of, such as missing weights.
        """
        asked = self.questionnaire(pairs, clips, spoken=spoken)
        return run_probe(
            self._model,
            self.questionnaire,
            asked,
            self._manners,
            self._bootstrap,
            judge=self._judge,
            familiar=familiar,
            progress=progress,
        )

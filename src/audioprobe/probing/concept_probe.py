"""`ConceptProbe`: ask a model the same questions about concepts in text and about audio."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import Windowing
from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.clips import ClipsByConcept, clips_by_concept
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.question_writer import QuestionWriter
from audioprobe.probing.questions import RELATIONS, Pairs, QuestionConfig, balanced_pairs
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    Negatives,
    RelationKind,
    from_concepts,
)
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.probing.sounds import sounds_by_key
from audioprobe.probing.trial import CONDITIONS, ON_REQUEST, Condition, Form, check_known
from audioprobe.probing.wordings import PromptingOptions, read_wordings
from audioprobe.progress import ProgressOption
from audioprobe.progress_bars import shown_progress
from audioprobe.protocols import LanguageModel
from audioprobe.registry import check_name, load
from audioprobe.types import Waveform

FIRST_SECONDS = Windowing(length="crop")
"""Default: the model receives the first 10 s of each clip."""


class ConceptProbe:
    """Questions about concepts ("Is a crow a bird?") to a model, in text and about audio.

    Args:
        model: a language model, or its name as `audioprobe backends` lists it.
        concepts: the concepts to ask about; None uses the shipped concepts.
        conditions: conditions under which each question is asked, such as "text" and "audio"; see
            `Condition`. None means "text", all conditions that need clips if clips are given, and
            "spoken word" if spoken words are given, but not "window" and "conflicting text".
        forms: forms of the questions: "yes-no", "negated", "choice", "reversed"; see `Form`.
        negatives: how false pairs of concept and class are drawn; each value adds a separate
            balanced set of questions. See `balanced_pairs`.
        options: wordings and settings of the prompts.
        judge: a language model (or its name) that also classifies the free-text responses; None
            means that only the rule-based parser does.
        n_clips: maximum number of clips per concept; 0 means all.
        n_orders: number of orders in which the options of a choice question are presented.
        n_windows: number of windows of a clip under the condition "window".
        windowing: how clips are read: with the length "crop" (default: the first 10 s), "pad" or
            "whole".
        bootstrap: how confidence intervals are computed; concepts are resampled.
        seed: seed of false pairs, wrong clips, option orders and noise.

    Raises:
        InvalidInputError: for an unknown condition or form, an invalid file of wordings, or the
            windowing "windows".

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
        n_windows: int = 4,
        windowing: Windowing = FIRST_SECONDS,
        bootstrap: Bootstrap | None = None,
        seed: int = 0,
    ) -> None:
        for name in (model, judge):
            if isinstance(name, str):
                check_name("language_model", name)
        self._model_or_name, self._judge_or_name = model, judge
        self._concepts = concepts if isinstance(concepts, ConceptSet) else from_concepts(concepts)
        self._options = options or PromptingOptions()
        self._windowing = checked_windowing(windowing)
        self._bootstrap = bootstrap or Bootstrap()
        self._config = QuestionConfig(
            wordings=read_wordings(self._options.wordings),
            conditions=tuple(conditions or ()),
            forms=tuple(forms),
            negatives=tuple(negatives),
            n_orders=n_orders,
            n_clips=n_clips,
            n_windows=n_windows,
            seed=seed,
        )

    def __repr__(self) -> str:
        model, conditions = self._model_or_name, self._config.conditions
        return (
            f"{type(self).__name__}({model!r}, concepts={self._concepts!r}, "
            f"conditions={conditions or None})"
        )

    @cached_property
    def _models(self) -> tuple[LanguageModel, LanguageModel | None]:
        """Model and judge, loaded at first use: invalid clips are reported before weights load."""
        judge = self._judge_or_name
        return (
            load("language_model", self._model_or_name),
            None if judge is None else load("language_model", judge),
        )

    def __call__(
        self,
        relations: RelationKind | Sequence[RelationKind] = "hypernym",
        clips: Source | Iterable[Source] | None = None,
        *,
        spoken: Mapping[str, Waveform] | None = None,
        familiar: Iterable[str] = (),
        progress: ProgressOption = True,
    ) -> ProbeOutcome:
        """Ask all questions and return the answers.

        Args:
            relations: "hypernym", "synonym" or both. If clips are given, questions for the concept
                itself ("identity") are added, to separate perception from reasoning.
            clips: labelled clips, a folder, or sound files named after their concept; None asks in
                text only. If clips are given, concepts without clips are not asked about.
            spoken: recordings of the spoken words, keyed by concept id; see `spoken_words`.
            familiar: ids of concepts whose sounds the model was trained on.
            progress: True shows progress, False does not; a function is called with the progress
                of each stage.

        Raises:
            InvalidInputError: if no clip belongs to a concept, there are no questions, a relation
                is unknown, or a condition needs clips or spoken words that are not given.
            AudioProbeError: for causes that affect all questions, such as missing weights.
        """
        probe = prepare_probe(
            self._concepts, self._config, relations, clips, spoken=spoken, windowing=self._windowing
        )
        with shown_progress(progress) as show:
            model, judge = self._models
            return run_probe(
                model,
                probe,
                self._options,
                self._bootstrap,
                judge=judge,
                familiar=familiar,
                progress=show,
            )


def prepare_probe(
    concepts: ConceptSet,
    config: QuestionConfig,
    relations: RelationKind | Sequence[RelationKind] = "hypernym",
    clips: Source | Iterable[Source] | None = None,
    *,
    spoken: Mapping[str, Waveform] | None = None,
    windowing: Windowing = FIRST_SECONDS,
) -> PreparedProbe:
    """Create all questions of a probe, before a model is loaded.

    Args:
        concepts: the concepts to ask about.
        config: settings of the questions.
        relations: see `ConceptProbe.__call__`, also for `clips`, `spoken` and the errors.
        clips: labelled clips, a folder, or sound files.
        spoken: recordings of the spoken words, keyed by concept id.
        windowing: how clips are read.
    """
    kinds: list[RelationKind] = [relations] if isinstance(relations, str) else list(relations)
    check_known("relation", kinds, RELATIONS)
    by_concept = ClipsByConcept({}, {}, ())
    if clips is not None:
        by_concept = clips_by_concept(clips_of(clips), concepts)
        _check_assigned(by_concept)
        concepts = concepts.subset(by_concept.by_concept)
        kinds = list(dict.fromkeys(["identity", *kinds]))
    config = replace(config, conditions=_conditions(config, clips is not None, bool(spoken)))
    pairs = _pairs(concepts, kinds, by_concept, config)
    clip_ids = {name: [c.id for c in group] for name, group in by_concept.by_concept.items()}
    spoken_keys = {name: f"(spoken) {name}" for name in spoken or {}}
    questions = QuestionWriter(concepts, clip_ids, spoken_keys, config)(pairs)
    has_windows = "window" in config.conditions
    if not questions:
        raise InvalidInputError("The probe has no questions. Add concepts, clips or forms.")
    return PreparedProbe(
        questions=tuple(questions),
        unmatched=pairs.unmatched,
        clips=by_concept,
        sounds=sounds_by_key(
            [clip for group in by_concept.by_concept.values() for clip in group],
            {spoken_keys[name]: waveform for name, waveform in (spoken or {}).items()},
            windowing,
            config.seed,
            config.n_windows if has_windows else 0,
        ),
        caption_template=config.wordings.caption,
        options={
            "concepts": f"{concepts.name} {concepts.revision}",
            "wordings": f"{config.wordings.name} {config.wordings.version}",
            "negatives": config.negatives,
            "forms": config.forms,
            "n_clips": config.n_clips,
            "n_orders": config.n_orders,
            **({"n_windows": config.n_windows} if has_windows else {}),
            **{name: value for name, value in windowing.options.items() if name != "pooling"},
        },
        windowing=windowing,
        seed=config.seed,
    )


def checked_windowing(windowing: Windowing) -> Windowing:
    """Return the windowing; raise `InvalidInputError` if it may give several windows per clip."""
    if windowing.length == "windows":
        raise InvalidInputError(
            'A probe asks about one sound per clip: expected the length "crop", "pad" or "whole" '
            'in windowing, got "windows".'
        )
    return windowing


def _check_assigned(clips: ClipsByConcept) -> None:
    if not clips.by_concept:
        first, names = next(iter(clips.unassigned.items()))
        raise InvalidInputError(
            f"None of {len(clips.unassigned)} clips belongs to a concept; the first clip, "
            f"{first!r}, has the names {names}. Label the clips with ids, phrases or synonyms of "
            "concepts, or name the files after concepts."
        )


def _conditions(config: QuestionConfig, has_clips: bool, has_spoken: bool) -> tuple[Condition, ...]:
    """Return the conditions of the config; if it has none, the default conditions.

    These are all conditions for which the needed clips or spoken words exist, except `ON_REQUEST`.
    """
    missing = dict.fromkeys(CONDITIONS, "" if has_clips else "clips (argument `clips`)")
    missing["text"] = ""
    missing["spoken word"] = "" if has_spoken else "recorded words (argument `spoken`)"
    for condition in config.conditions:
        if missing[condition]:
            raise InvalidInputError(
                f"The condition {condition!r} needs {missing[condition]}, but received none."
            )
    possible: list[Condition] = [c for c in CONDITIONS if not missing[c] and c not in ON_REQUEST]
    return config.conditions or tuple(possible)


def _pairs(
    concepts: ConceptSet,
    relations: Sequence[RelationKind],
    clips: ClipsByConcept,
    config: QuestionConfig,
) -> Pairs:
    """Draw pairs of concept and target, for each relation and each way to draw false pairs."""
    popularity = {name: len(group) for name, group in clips.by_concept.items()}
    merged = Pairs((), ())
    for relation in relations:
        for negatives in config.negatives:
            drawn = balanced_pairs(
                concepts,
                relation,
                negatives,
                popularity=popularity,
                seed=config.seed,
                first_match=len(merged.pairs) // 2,
            )
            merged = Pairs(merged.pairs + drawn.pairs, merged.unmatched + drawn.unmatched)
    if not merged.pairs:
        raise InvalidInputError(
            f"{concepts.name}: expected true pairs with a matching false pair for the same class, "
            f"but there are none for {', '.join(concept.id for concept in concepts.concepts)} "
            f"({', '.join(relations)}; negatives: {', '.join(config.negatives)}). Add "
            "concepts of other classes; if clips are asked about, only concepts with clips count."
        )
    return merged

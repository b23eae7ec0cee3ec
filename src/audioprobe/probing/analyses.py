"""Analyses of the trials of a probe, as methods of its outcome."""

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.agreement import (
    AnswerAgreement,
    condition_agreement,
    reading_agreement,
)
from audioprobe.probing.audio_use import (
    AudioUse,
    ConflictAnswers,
    WholeClipNeed,
    audio_use,
    conflict_answers,
    whole_clip_need,
)
from audioprobe.probing.consistency import (
    Consistency,
    HypernymChain,
    consistency,
    hypernym_chains,
)
from audioprobe.probing.diagnosis import Diagnosis, diagnose
from audioprobe.probing.logical_consistency import LogicalConsistency, logical_consistency
from audioprobe.probing.modality_gap import ModalityGap, modality_gap, recognition_by_clip
from audioprobe.probing.scores import Score, score
from audioprobe.probing.stability import Stability, stability
from audioprobe.probing.trial import CONDITIONS, AnswerReading, Condition, Form, Trial


class ProbeAnalyses:
    """Base of probe outcomes: analyses of their trials.

    In the methods, `reading` is how an answer is turned into an option (see `AnswerReading`); None
    means the default, the property `reading`.
    """

    __slots__ = ()

    trials: tuple[Trial, ...]
    bootstrap: Bootstrap

    @property
    def reading(self) -> AnswerReading:
        """The default way to turn answers into options.

        It is "likelihood" if the trials have likelihoods, otherwise "free-text".
        """
        decided = any(trial.choice("likelihood") is not None for trial in self.trials)
        return "likelihood" if decided else "free-text"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions that occur in the trials."""
        present = {trial.question.condition for trial in self.trials}
        return tuple(condition for condition in CONDITIONS if condition in present)

    def modality_gap(
        self,
        reading: AnswerReading | None = None,
        *,
        first: Condition = "text",
        second: Condition = "audio",
    ) -> ModalityGap:
        """Return the accuracy in text minus the accuracy about audio, on the same questions."""
        chosen = reading or self.reading
        return modality_gap(self.trials, chosen, self.bootstrap, first=first, second=second)

    def audio_reliance(self, reading: AnswerReading | None = None) -> ModalityGap:
        """Return the accuracy with the right clip minus the accuracy with a wrong clip."""
        return self.modality_gap(reading, first="audio", second="wrong clip")

    def given_recognised(self, reading: AnswerReading | None = None) -> Score:
        """Return the score of audio questions about clips whose concept the model recognised.

        Questions for the concept itself are left out. If this score is high but the accuracy over
        all clips is low, the model fails at perception. If this score is low, the model does not
        apply its knowledge to audio.
        """
        chosen = reading or self.reading
        recognised = recognition_by_clip(self.trials, chosen)
        trials = [
            trial
            for trial in self._under("audio")
            if recognised.get(trial.question.clip) and trial.question.pair.relation != "identity"
        ]
        return score(trials, chosen, self.bootstrap)

    def hypernym_chains(
        self, condition: Condition = "audio", reading: AnswerReading | None = None
    ) -> tuple[HypernymChain, ...]:
        """Return one chain per concept: the share of "yes" for it and each class above it."""
        return hypernym_chains(self.trials, reading or self.reading, condition)

    def consistency(
        self,
        condition: Condition = "audio",
        reading: AnswerReading | None = None,
        *,
        form: Form = "yes-no",
    ) -> Consistency:
        """Return how often the answers to the variants of a question agree and are correct.

        The variants are paraphrases and, for the form "choice", orders of the options.
        """
        chosen = reading or self.reading
        return consistency(self._under(condition), chosen, self.bootstrap, form=form)

    def logical_consistency(
        self, condition: Condition = "audio", reading: AnswerReading | None = None
    ) -> LogicalConsistency:
        """Return how often answers agree with what other answers imply."""
        return logical_consistency(self.trials, reading or self.reading, condition, self.bootstrap)

    def audio_use(
        self, reading: AnswerReading | None = None, *, control: Condition | None = None
    ) -> AudioUse:
        """Return text prior, audio reliance and the share of the score without audio."""
        return audio_use(self.trials, reading or self.reading, self.bootstrap, control=control)

    def whole_clip_need(self, reading: AnswerReading | None = None) -> WholeClipNeed:
        """Return the share of items that are correct with no single window of the clip."""
        return whole_clip_need(self.trials, reading or self.reading, self.bootstrap)

    def conflict_answers(self, reading: AnswerReading | None = None) -> ConflictAnswers:
        """Return the shares of answers that follow the audio, the conflicting text, or neither."""
        return conflict_answers(self.trials, reading or self.reading, self.bootstrap)

    def stability(self, condition: Condition | None = None) -> Stability:
        """Return the agreement of the sampled answers, under one condition or (None) all."""
        trials = self.trials if condition is None else self._under(condition)
        return stability(trials, self.bootstrap)

    def condition_agreement(
        self,
        reading: AnswerReading | None = None,
        *,
        first: Condition = "audio",
        second: Condition = "caption",
    ) -> AnswerAgreement:
        """Return agreement and kappa of the answers under two conditions.

        The default compares the model with its matched cascade: itself, with its caption of the
        clip in place of the audio. For another cascade, see `model_agreement`.
        """
        chosen = reading or self.reading
        return condition_agreement(self.trials, chosen, self.bootstrap, first=first, second=second)

    def reading_agreement(
        self, first: AnswerReading = "free-text", second: AnswerReading = "likelihood"
    ) -> AnswerAgreement:
        """Return agreement, kappa and accuracies of two readings of the same answers."""
        return reading_agreement(self.trials, self.bootstrap, first=first, second=second)

    def diagnosis(self, reading: AnswerReading | None = None) -> Diagnosis:
        """Return the diagnosis: what the confidence intervals show that the model can do."""
        return diagnose(self.trials, reading or self.reading, self.bootstrap)

    def _under(self, condition: Condition) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.question.condition == condition)

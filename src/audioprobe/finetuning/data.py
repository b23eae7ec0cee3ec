"""Training data of fine-tuning, and the batch of each step.

A batch contains captions of the training clips and, if the strategy uses them, rehearsal data
(earlier training data, against forgetting) and paired questions (yes/no questions about concepts,
that is, sound sources).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import AlignmentTargets, encode_texts
from audioprobe.finetuning.captioned_clips import CaptionedClips
from audioprobe.finetuning.components import (
    EWC,
    Distillation,
    PairedQuestionTraining,
    PreviousTask,
    QuestionCondition,
    Rehearsal,
)
from audioprobe.finetuning.strategy import Strategy
from audioprobe.probing.questions import balanced_pairs
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.trial import ConceptPair
from audioprobe.texts import stable_hash
from audioprobe.training.answer_loss import AnswerBatch, collate
from audioprobe.training.examples import (
    MAX_TOKENS,
    QARecord,
    TrainingExample,
    caption_of,
    encode_record,
    relation_question,
)
from audioprobe.training.feature_cache import epoch_rows
from audioprobe.training.trainable import PromptTokenizer

MatchedPair: TypeAlias = tuple[ConceptPair, ConceptPair]
"""Two questions about the same class, with the answers "yes" and "no".

An example is "Is a crow a bird?" and "Is a dog a bird?"."""


class TrainingBatch(NamedTuple):
    """Data of one training step.

    Attributes:
        answers: questions with their answers, including rehearsal data.
        alignment: clips with texts; None if there is no alignment loss.
        distillation: text passages for distillation from the initial model; None if there is no
            distillation.
    """

    answers: AnswerBatch
    alignment: AlignmentTargets | None = None
    distillation: AnswerBatch | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingSampler:
    """Data of a fine-tuning run; samples the batch of each step from them.

    Attributes:
        tokenizer: tokenizer and prompt format of the model.
        clips: clips on which the model is fine-tuned.
        rehearsal_clips: clips of the earlier training data; None if there are none.
        rehearsal_texts: text passages as token ids.
        question_pairs: pairs of questions for `PairedQuestionTraining`.
        audio_concepts: ids of the concepts that audio questions may be about; None allows every
            concept that has clips in `CaptionedClips.rows_by_concept`.
        max_tokens: largest number of tokens of a question with its answer.
        seed: random seed of the batches.
    """

    tokenizer: PromptTokenizer
    clips: CaptionedClips
    rehearsal_clips: CaptionedClips | None = None
    rehearsal_texts: tuple[TrainingExample, ...] = ()
    question_pairs: tuple[MatchedPair, ...] = ()
    audio_concepts: frozenset[str] | None = None
    max_tokens: int = MAX_TOKENS
    seed: int = 0

    def check(self, strategy: Strategy) -> None:
        """Check that all data that the strategy needs are available.

        Raises:
            InvalidInputError: if rehearsal texts, rehearsal clips or question pairs are missing.
        """
        rehearsal, paired = strategy.get(Rehearsal), strategy.get(PairedQuestionTraining)
        ewc, distillation = strategy.get(EWC), strategy.get(Distillation)
        tasks = ewc.tasks if ewc else ()
        n_texts, n_clips = (rehearsal.texts, rehearsal.clips) if rehearsal else (0, 0)
        if (n_texts or distillation or "text" in tasks) and not self.rehearsal_texts:
            raise InvalidInputError(
                "The strategy needs rehearsal texts, got none. Pass rehearsal_texts."
            )
        if (n_clips or "audio" in tasks) and self.rehearsal_clips is None:
            raise InvalidInputError(
                "The strategy needs rehearsal clips, got none. Pass rehearsal_clips, or set clips "
                "of the rehearsal to 0 and leave out the task 'audio' of EWC."
            )
        for condition in paired.conditions if paired else ():
            if paired and not self._pairs(paired, condition):
                kinds = ", ".join(paired.concept_kinds) or "any kind"
                raise InvalidInputError(
                    f"The strategy needs question pairs about concepts of {kinds} in {condition}; "
                    f"none of {len(self.question_pairs)} can be asked. In audio, both concepts of "
                    "a pair need clips."
                )

    def sample_batch(self, strategy: Strategy, step: int, *, aligned: bool) -> TrainingBatch:
        """Return the batch of a step; it depends only on the data and on the arguments.

        Args:
            strategy: determines what the batch contains; its seed is part of the random seed.
            step: index of the batch, from 0.
            aligned: whether the batch includes targets for alignment losses.
        """
        seed = self.seed * 1_000_003 + strategy.arguments.seed
        examples: list[TrainingExample] = []
        audio: dict[str, Tensor] = {}
        rows = []
        n_clips = strategy.clips_per_step
        for row, record, features in self.clips.questions("new", n_clips, step, seed):
            audio[record.audio_id] = features
            examples.append(self._encode(record))
            rows.append(row)
        if (rehearsal := strategy.get(Rehearsal)) is not None:
            examples += self._passages(rehearsal.texts, step, seed)
            earlier, n_clips = self.rehearsal_clips, rehearsal.clips
            if earlier is not None and n_clips:
                for _, record, features in earlier.questions("earlier", n_clips, step, seed):
                    audio[record.audio_id] = features
                    examples.append(self._encode(record))
        if (paired := strategy.get(PairedQuestionTraining)) is not None:
            rng = np.random.default_rng([self.seed, strategy.arguments.seed, step])
            records = self._paired_questions(paired, seed, rng, audio)
            examples += [self._encode(record) for record in records]
        distillation = strategy.get(Distillation)
        texts = self._passages(distillation.texts, step, seed) if distillation else []
        return TrainingBatch(
            self._collate(examples, audio),
            self._alignment_targets(rows) if aligned and rows else None,
            self._collate(texts, {}) if texts else None,
        )

    def previous_task(self, task: PreviousTask, n_examples: int) -> Iterator[AnswerBatch]:
        """Yield batches of one example of a previous task, to estimate Fisher information.

        Examples are rehearsal texts for the task "text", and rehearsal clips for "audio".
        """
        if task == "text":
            for example in self.rehearsal_texts[:n_examples]:
                yield self._collate([example], {})
        elif self.rehearsal_clips is not None:
            questions = self.rehearsal_clips.questions("earlier", n_examples, 0, self.seed)
            for _, record, features in questions:
                yield self._collate([self._encode(record)], {record.audio_id: features})

    def _passages(self, n: int, step: int, seed: int) -> list[TrainingExample]:
        rows = epoch_rows(len(self.rehearsal_texts), n, step, seed).tolist() if n else ()
        return [self.rehearsal_texts[row] for row in rows]

    def _pairs(
        self, paired: PairedQuestionTraining, condition: QuestionCondition
    ) -> list[MatchedPair]:
        """Return the question pairs for a condition; for audio, both concepts must have clips."""
        concepts = Concepts.shipped() if paired.concept_kinds else None
        pairs = [
            pair
            for pair in self.question_pairs
            if concepts is None
            or any(q.holds and concepts[q.concept].kind in paired.concept_kinds for q in pair)
        ]
        if condition == "text":
            return pairs
        playable = set(self.clips.rows_by_concept)
        if self.audio_concepts is not None:
            playable &= self.audio_concepts
        return [pair for pair in pairs if all(q.concept in playable for q in pair)]

    def _paired_questions(
        self,
        paired: PairedQuestionTraining,
        seed: int,
        rng: np.random.Generator,
        audio: dict[str, Tensor],
    ) -> Iterator[QARecord]:
        """Yield random paired questions; add the features of audio questions to `audio`."""
        for condition in paired.conditions:
            pairs = self._pairs(paired, condition)
            for k in rng.integers(len(pairs), size=paired.pairs).tolist():
                for pair in pairs[k]:
                    relation = with_random_answer(pair, seed) if paired.shuffle_answers else pair
                    if condition == "text":
                        yield relation_question(relation, rng)
                    else:
                        rows = self.clips.rows_by_concept[pair.concept]
                        row = rows[int(rng.integers(len(rows)))]
                        audio[f"new {row}"] = self.clips.features(row)
                        yield relation_question(relation, rng, f"new {row}")

    def _alignment_targets(self, rows: Sequence[int]) -> AlignmentTargets:
        labels = ["; ".join(self.clips.labels[row]) for row in rows]
        captions = [caption_of(self.clips.phrases[row]) for row in rows]
        return AlignmentTargets(
            self.clips.cache.features(torch.tensor(rows)),
            encode_texts(self.tokenizer, labels),
            encode_texts(self.tokenizer, captions),
        )

    def _encode(self, record: QARecord) -> TrainingExample:
        return encode_record(record, self.tokenizer, max_tokens=self.max_tokens)

    def _collate(
        self, examples: Sequence[TrainingExample], audio: Mapping[str, Tensor]
    ) -> AnswerBatch:
        pad_id = self.tokenizer.eos_token_id
        return collate(examples, audio, targets="answer", pad_id=pad_id)


def question_pairs(concepts: ConceptSet, seed: int) -> tuple[MatchedPair, ...]:
    """Return pairs of questions about classes, with the answers "yes" and "no", for training."""
    pairs = balanced_pairs(concepts, "hypernym", seed=seed).pairs
    return tuple(zip(pairs[::2], pairs[1::2], strict=True))


def with_random_answer(pair: ConceptPair, seed: int) -> ConceptPair:
    """Return the question with a random answer; the same seed gives the same answer."""
    key = f"{seed} {pair.concept} {pair.relation} {pair.target}"
    return replace(pair, holds=bool(stable_hash(key) % 2))

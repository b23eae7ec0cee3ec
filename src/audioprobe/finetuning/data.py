"""What a step of fine-tuning asks: of new sounds, of what was there before, of classes in pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import Texts
from audioprobe.finetuning.captioned_clips import CaptionedClips, said_of
from audioprobe.finetuning.objective import AlignmentTargets, TrainingBatch
from audioprobe.finetuning.strategy import (
    Distillation,
    PairedQuestionTraining,
    PreviousTask,
    QuestionCondition,
    Rehearsal,
    Strategy,
)
from audioprobe.models.ltu.prompt import continuation_ids
from audioprobe.seeding import stable_hash
from audioprobe.small_ltu import questions
from audioprobe.small_ltu.encoder_training import rows_at
from audioprobe.small_ltu.qa_sampler import Pair
from audioprobe.small_ltu.relations import Relation
from audioprobe.training.records import QARecord
from audioprobe.training.sequences import CUTOFF, Batch, TrainingExample, collate, encode


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Everything that a step can draw from.

    Attributes:
        tokenizer: of the base model.
        taught: new sounds.
        earlier: sounds that the model learned from before; None where there are none.
        texts: passages to be kept in mind, in tokens.
        pairs: questions about classes, for `strategy.Paired`.
        in_sound: ids of concepts of which these may be asked in sound; None takes all that are
            heard alone.
        cutoff: most tokens of question and answer.
        seed: of what is drawn.
    """

    tokenizer: Any
    taught: CaptionedClips
    earlier: CaptionedClips | None = None
    texts: tuple[TrainingExample, ...] = ()
    pairs: tuple[Pair, ...] = ()
    in_sound: frozenset[str] | None = None
    cutoff: int = CUTOFF
    seed: int = 0

    def check(self, strategy: Strategy) -> None:
        """Refuse a strategy that needs what is not there.

        Raises:
            InvalidInputError: says what it needs.
        """
        rehearsal, paired = strategy.get(Rehearsal), strategy.get(PairedQuestionTraining)
        wants_texts = strategy.get(Distillation) or (rehearsal and rehearsal.texts)
        if wants_texts and not self.texts:
            raise InvalidInputError("The strategy keeps texts in mind, and there are none.")
        if rehearsal and rehearsal.clips and self.earlier is None:
            raise InvalidInputError(
                "The strategy rehearses sounds of before, and there are none: name some, or set "
                "its clips to 0."
            )
        if paired is None:
            return
        for way in paired.conditions:
            if not self._askable(paired, way):
                about = f" about {', '.join(paired.concept_kinds)}" if paired.concept_kinds else ""
                raise InvalidInputError(
                    f"The strategy asks pairs of concepts{about} in {way}, and none of "
                    f"{len(self.pairs)} can be: give some, of which both concepts can be heard "
                    "where sounds are asked."
                )

    def lot(self, strategy: Strategy, number: int, *, tied: bool) -> TrainingBatch:
        """What a step learns from; the same number gives the same.

        Args:
            strategy: how many of what; another seed of its plan draws otherwise.
            number: of the lot, from 0.
            tied: whether sounds are tied to text.
        """
        examples: list[TrainingExample] = []
        heard: dict[str, Tensor] = {}
        seed = self.seed * 1_000_003 + strategy.arguments.seed
        rows: list[int] = []
        for row, time, sound in _some(self.taught, strategy.clips_per_step, number, seed):
            examples.append(self._about(self.taught, row, f"taught {row}", time))
            heard[f"taught {row}"] = sound
            rows.append(row)
        rehearsal, paired = strategy.get(Rehearsal), strategy.get(PairedQuestionTraining)
        if rehearsal is not None:
            examples += self._passages(rehearsal.texts, number, seed)
            examples += self._earlier(rehearsal.clips, number, seed, heard)
        if paired is not None:
            rng = np.random.default_rng([self.seed, strategy.arguments.seed, number])
            examples += self._asked(paired, seed, rng, heard)
        about = self._texts_about(rows) if tied and rows else None
        distilled = strategy.get(Distillation)
        kept = self._passages(distilled.texts, number, seed) if distilled is not None else ()
        return TrainingBatch(
            self._batch(examples, heard), about, self._batch(kept, {}) if kept else None
        )

    def of_before(self, task: PreviousTask, n_examples: int) -> Iterator[Batch]:
        """Batches of one example each, by which importances are estimated.

        Raises:
            InvalidInputError: if there is nothing of the kind.
        """
        if task == "text":
            if not self.texts:
                raise InvalidInputError("There are no texts whose importance could be estimated.")
            for example in self.texts[:n_examples]:
                yield self._batch([example], {})
            return
        if self.earlier is None:
            raise InvalidInputError("There are no earlier sounds to estimate importances by.")
        for row, time, sound in _some(self.earlier, n_examples, 0, self.seed):
            name = f"earlier {row}"
            yield self._batch([self._about(self.earlier, row, name, time)], {name: sound})

    def _about(self, sounds: CaptionedClips, row: int, name: str, time: int) -> TrainingExample:
        """Its caption, or the next time its labels; every other sound the other way round."""
        if (time + row) % 2:
            answer = f"Labels: {'; '.join(sounds.labels[row])}"
            record = QARecord(questions.LABELS, answer, name, task="labels")
        else:
            answer = f"Audio caption: {said_of(sounds.phrases[row])}"
            record = QARecord(questions.CAPTION, answer, name, task="caption")
        return encode(record, self.tokenizer, cutoff=self.cutoff)

    def _passages(self, n: int, number: int, seed: int) -> list[TrainingExample]:
        rows = rows_at(len(self.texts), n, number, seed).tolist() if n else ()
        return [self.texts[row] for row in rows]

    def _earlier(
        self, n: int, number: int, seed: int, heard: dict[str, Tensor]
    ) -> list[TrainingExample]:
        if self.earlier is None or not n:
            return []
        found = []
        for row, time, sound in _some(self.earlier, n, number, seed):
            heard[f"earlier {row}"] = sound
            found.append(self._about(self.earlier, row, f"earlier {row}", time))
        return found

    def _askable(self, paired: PairedQuestionTraining, way: QuestionCondition) -> list[Pair]:
        """Pairs about its families; of sounds, those of which both concepts can be heard."""
        wanted = [
            pair
            for pair in self.pairs
            if not paired.concept_kinds
            or next(r for r in pair if r.holds).concept.kind in paired.concept_kinds
        ]
        if way == "text":
            return wanted
        there = set(self.taught.alone)
        if self.in_sound is not None:
            there &= self.in_sound
        return [pair for pair in wanted if all(r.concept.id in there for r in pair)]

    def _asked(
        self,
        paired: PairedQuestionTraining,
        seed: int,
        rng: np.random.Generator,
        heard: dict[str, Tensor],
    ) -> list[TrainingExample]:
        found: list[QARecord] = []
        for way in paired.conditions:
            askable = self._askable(paired, way)
            for k in rng.integers(len(askable), size=paired.pairs).tolist():
                for relation in askable[k]:
                    asked = shuffled(relation, seed) if paired.shuffle_answers else relation
                    if way == "text":
                        found.append(questions.in_words(asked, rng))
                    else:
                        found.append(self._of_sound(asked, rng, heard))
        return [encode(record, self.tokenizer, cutoff=self.cutoff) for record in found]

    def _of_sound(
        self, relation: Relation, rng: np.random.Generator, heard: dict[str, Tensor]
    ) -> QARecord:
        """A question about a clip of the concept, whose sound is added."""
        rows = self.taught.alone[relation.concept.id]
        row = rows[int(rng.integers(len(rows)))]
        heard[f"taught {row}"] = self.taught.pool.spectrograms(torch.tensor([row]))[0]
        return questions.in_sound(relation, f"taught {row}", rng)

    def _texts_about(self, rows: Sequence[int]) -> AlignmentTargets:
        labels = ["; ".join(self.taught.labels[row]) for row in rows]
        captions = [said_of(self.taught.phrases[row]) for row in rows]
        sounds = self.taught.pool.spectrograms(torch.tensor(rows))
        return AlignmentTargets(
            sounds,
            texts_in_tokens(self.tokenizer, labels),
            texts_in_tokens(self.tokenizer, captions),
        )

    def _batch(self, examples: Sequence[TrainingExample], heard: Mapping[str, Tensor]) -> Batch:
        return collate(examples, heard, loss="answer", pad=self.tokenizer.eos_token_id)


def _some(
    sounds: CaptionedClips, n: int, number: int, seed: int
) -> Iterator[tuple[int, int, Tensor]]:
    """Rows of sounds, how often each came before, and what is heard in it."""
    rows = rows_at(len(sounds), n, number, seed)
    for k, (row, sound) in enumerate(
        zip(rows.tolist(), sounds.pool.spectrograms(rows), strict=True)
    ):
        yield row, (number * n + k) // len(sounds), sound


def texts_in_tokens(tokenizer: Any, texts: Sequence[str]) -> Texts:  # noqa: ANN401
    """Texts as an answer would have them, filled up to one length."""
    ids = [torch.tensor(continuation_ids(tokenizer, text)) for text in texts]
    there = [torch.ones(len(each), dtype=torch.bool) for each in ids]
    return Texts(pad_sequence(ids, True, 0), pad_sequence(there, True, False))


def shuffled(relation: Relation, seed: int) -> Relation:
    """The same question with an answer that was drawn, whatever is true."""
    key = f"{seed} {relation.concept.id} {relation.kind} {relation.target}"
    return replace(relation, holds=bool(stable_hash(key) % 2))

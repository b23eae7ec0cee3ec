"""Sampled answers: seeds, agreement, majority; independent of the batch size."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import pytest
from tests.probing.known_models import CLIPS, CONCEPTS
from tests.tiny_ltu import write_base, write_checkpoint

from audioprobe import LTU, Decoding, Prompt, Response, Scripted
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import (
    ConceptProbe,
    ProbeOutcome,
    PromptingOptions,
    SampledAnswer,
)
from audioprobe.probing.stability import expected_modal_share, stability
from audioprobe.protocols import LanguageModel

FOUR = CONCEPTS.subset(("crow", "dog", "violin", "rain"))
SAMPLED = PromptingOptions(samples=4, sampling=Decoding(temperature=0.5, seed=7))


class BySeed:
    """A model whose sampled answer depends on the seed: yes, yes, yes, then no."""

    info = Scripted("Yes.").info

    def __init__(self) -> None:
        self.decodings: list[Decoding | None] = []

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        self.decodings.append(decoding)
        for prompt in prompts:
            if decoding is not None and decoding.seed == 8 and "bird" in prompt.text:
                raise UnsupportedInputError("no birds")
            is_last = decoding is not None and decoding.seed == 10
            yield Response("No." if is_last else "Yes.")


def run(model: LanguageModel, options: PromptingOptions = SAMPLED) -> ProbeOutcome:
    probe = ConceptProbe(
        model, concepts=FOUR, conditions=("text",), options=options, bootstrap=Bootstrap(50)
    )
    return probe("hypernym")


def test_each_sample_has_a_seed_of_its_own_and_greedy_answers_stay() -> None:
    model = BySeed()
    outcome = run(model)
    sampled = [d for d in model.decodings if d is not None and d.temperature]
    assert {d.seed for d in sampled} == {7, 8, 9, 10}
    assert {(d.temperature, d.max_new_tokens) for d in sampled} == {(0.5, 12)}
    assert {t.response for t in outcome.trials} == {"Yes."}
    assert outcome.n_calls["samples 1/4"] == outcome.n_calls["answers"]
    options = outcome.provenance.options
    assert (options["samples"], options["sampling, seed"], options["sampling, temperature"]) == (
        4,
        7,
        0.5,
    )
    assert ProbeOutcome.from_json(outcome.to_json()) == outcome


def test_agreement_and_majority_of_known_samples() -> None:
    outcome = run(BySeed())
    result = outcome.stability()
    n_birds = sum("bird" in trial.question.text for trial in outcome.trials)
    others = len(outcome.trials) - n_birds
    assert 0 < n_birds < len(outcome.trials)
    assert (result.n_samples, result.n_failed, result.n_invalid) == (4, n_birds, 0)
    expected = (n_birds * 2 / 3 + others * 3 / 4) / len(outcome.trials)
    assert result.agreement.value == pytest.approx(expected)
    # The majority says yes, which is correct for half of the questions.
    assert result.majority_accuracy.value == 0.5
    assert result.sample_accuracy.value == 0.5
    assert result.agreement.unit == "concepts"
    assert outcome.stability("text") == result
    assert outcome.stability("audio").n_samples == 0
    (birds,) = {t.samples for t in outcome.trials if "bird" in t.question.text}
    assert [(s.choice, bool(s.failure)) for s in birds] == [
        (0, False),
        (None, True),
        (0, False),
        (1, False),
    ]


def test_ties_and_invalid_samples_are_counted() -> None:
    yes, no, invalid = (
        SampledAnswer(text, choice) for text, choice in (("Yes.", 0), ("No.", 1), ("?", None))
    )
    first, second, third, *_ = run(BySeed()).trials
    trials = [
        replace(first, samples=(yes, no, invalid)),
        replace(second, samples=(invalid, invalid, yes)),
        replace(third, samples=(no, no, no)),
    ]
    result = stability(trials, Bootstrap(10))
    assert result.agreement.value == pytest.approx((0.5 + 1) / 2)
    assert result.entropy.value == pytest.approx((1 + 0) / 2)
    assert result.agreement.n_undefined == 1
    assert result.majority_accuracy.n == 1
    assert result.majority_accuracy.n_undefined == 2
    assert (result.n_invalid, result.n_failed) == (3, 0)


@pytest.mark.parametrize(("n_samples", "n_options"), [(2, 2), (3, 2), (5, 2), (4, 4), (6, 3)])
def test_the_chance_level_counts_all_sequences(n_samples: int, n_options: int) -> None:
    sequences = [*product(range(n_options), repeat=n_samples)]
    most = [max(Counter(sequence).values()) / n_samples for sequence in sequences]
    assert expected_modal_share(n_samples, n_options) == pytest.approx(sum(most) / len(most))


@pytest.mark.slow
def test_samples_of_a_real_model_do_not_depend_on_the_batch_size(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("ltu")
    checkpoint, base = write_checkpoint(folder / "trained.bin"), write_base(folder / "base")
    options = replace(SAMPLED, wordings="brief", likelihoods=False, max_new_tokens=3)
    outcomes = []
    for batch_size in (1, 5):
        model = LTU.from_pretrained(checkpoint, base=base, batch_size=batch_size)
        probe = ConceptProbe(
            model, concepts=FOUR, conditions=("text", "audio"), options=options, n_clips=1
        )
        outcomes.append(probe("hypernym", CLIPS))
    assert outcomes[0].trials == outcomes[1].trials
    responses = [{s.response for s in trial.samples} for trial in outcomes[0].trials]
    assert max(map(len, responses)) > 1  # the seeds differ


def test_one_sample_and_greedy_samples_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 2 samples"):
        PromptingOptions(samples=1)
    with pytest.raises(InvalidInputError, match="temperature above 0"):
        PromptingOptions(samples=3, sampling=Decoding())
    assert not any(trial.samples for trial in run(BySeed(), PromptingOptions()).trials)

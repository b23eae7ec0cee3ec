"""Prompts under each condition; equal prompts and sounds are used once."""

from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from tests.probing.known_models import CLIPS, CONCEPTS, known_model, recognise, tone
from tests.tiny_chat_models import saved
from tests.tiny_ltu import write_base, write_checkpoint

from audioprobe import LTU, Prompt, Scripted
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.chat.model import TransformersLM
from audioprobe.probing import ConceptProbe, Condition, ProbeOutcome, PromptingOptions
from audioprobe.probing.trial import CONDITIONS
from audioprobe.protocols import LanguageModel

NAMES = ("crow", "dog", "violin", "rain")
FOUR = CONCEPTS.subset(NAMES)
SPOKEN = {name: tone(30 + n) for n, name in enumerate(NAMES)}
AROUND_CAPTION = "Someone describes a recording with these words: The sound of a crow.\n{}"


def run(model: LanguageModel, options: PromptingOptions | None = None) -> ProbeOutcome:
    probe = ConceptProbe(
        model, concepts=FOUR, conditions=CONDITIONS, options=options, bootstrap=Bootstrap(20)
    )
    return probe("hypernym", CLIPS, spoken=SPOKEN)


@cache
def recorded() -> tuple[ProbeOutcome, tuple[Prompt, ...]]:
    """Return an outcome of free-text questions, and the prompts in order."""
    prompts: list[Prompt] = []

    def answer(prompt: Prompt) -> str:
        prompts.append(prompt)
        return "The sound of a crow." if "caption" in prompt.text else "Yes."

    outcome = run(Scripted(answer), PromptingOptions(likelihoods=False))
    return outcome, tuple(prompts)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_condition_has_its_audio_and_its_text(condition: Condition) -> None:
    outcome, prompts = recorded()
    trials = outcome.where(relation="hypernym", condition=condition)
    assert trials
    for question in (trial.question for trial in trials):
        text = AROUND_CAPTION.format(question.text) if condition == "caption" else question.text
        audio = [prompt.audio for prompt in prompts if prompt.text == text]
        recognised = {recognise(prompt) for prompt in prompts if prompt.text == text}
        levels = {float(np.abs(a.samples).max()) for a in audio if a is not None}
        concept = question.pair.concept
        assert (question.pair.phrase in question.text) == (condition == "text")
        if condition in ("text", "no audio", "caption"):
            assert question.audio == ""
            assert None in audio
        elif condition == "silence":
            assert 0.0 in levels
        elif condition == "noise":
            assert len(levels) > 1
        elif condition == "window":
            assert question.audio.endswith(f" of 4) {concept}.wav")
            sizes = {a.samples.size for a in audio if a is not None}
            assert tone(0).samples.size // 4 in sizes
        elif condition in ("audio", "conflicting text"):
            assert question.text.startswith("This is a recording of") == (condition != "audio")
            assert question.audio == f"{concept}.wav"
            assert concept in recognised
        elif condition == "wrong clip":
            assert question.audio != f"{concept}.wav"
            assert question.audio.removesuffix(".wav") in recognised
        else:
            digests = {a.digest() for a in audio if a is not None}
            assert SPOKEN[concept].digest() in digests


def test_equal_prompts_are_used_once_and_counted() -> None:
    outcome, prompts = recorded()
    counts = Counter(prompt.digest() for prompt in prompts)
    assert set(counts.values()) == {1}
    assert len(counts) == sum(outcome.n_calls.values()) < len(outcome.trials) + len(NAMES)
    assert outcome.n_calls["captions"] == len(NAMES)


def test_prompts_with_the_same_sound_follow_each_other() -> None:
    outcome, prompts = recorded()
    sounds = ["" if p.audio is None else p.audio.digest() for p in prompts]
    after_captions = sounds[outcome.n_calls["captions"] :]
    changes = sum(first != second for first, second in pairwise(after_captions))
    assert changes == len(set(after_captions)) - 1


def test_a_model_with_correct_captions_is_correct_by_its_captions() -> None:
    score = run(known_model()).score(condition="caption", relation="hypernym")
    assert score.accuracy.value == 1.0


def test_ltu_encodes_each_sound_once_and_its_questions_share_passes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("ltu")
    checkpoint = write_checkpoint(folder / "trained.bin")
    ltu = LTU.from_pretrained(checkpoint, base=write_base(folder / "base"))
    encoded: list[int] = []
    passes: list[int] = []
    net = ltu._net
    net.prefix.encoder.register_forward_hook(lambda *_: encoded.append(1))
    net.llama.model.register_forward_hook(lambda *_: passes.append(1))
    probe = ConceptProbe(
        ltu,
        concepts=FOUR,
        conditions=("audio", "silence", "no audio"),
        options=PromptingOptions(wordings="brief", free_text=False),
    )
    outcome = probe("hypernym", CLIPS)
    played = {trial.question.audio for trial in outcome.trials} - {""}
    assert len(encoded) == len(played) == len(NAMES) + 1  # and silence
    assert len(passes) < sum(outcome.n_calls.values()) / 4  # questions about a sound share a pass
    assert not any(trial.failure for trial in outcome.trials)


def test_a_chat_model_is_asked_in_text_audio_and_captions() -> None:
    conditions: tuple[Condition, ...] = ("text", "audio", "caption")
    probe = ConceptProbe(
        TransformersLM(saved("qwen2-audio")),
        concepts=CONCEPTS.subset(["crow", "violin"]),
        conditions=conditions,
        options=PromptingOptions(wordings="brief", max_new_tokens=2),
        bootstrap=Bootstrap(20),
    )
    outcome = probe("synonym", CLIPS)
    assert outcome.conditions == conditions
    assert outcome.reading == "likelihood"
    assert not any(trial.failure for trial in outcome.trials)
    assert all(len(trial.log_likelihoods) == 2 for trial in outcome.trials)
    assert outcome.score("prior-corrected", condition="audio").n_trials > 0

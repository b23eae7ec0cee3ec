"""What a model is given under each condition, and how often: equal prompts and sounds once."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from tests.probing.listeners import CLIPS, HEARD, SUBJECTS, listener, tone
from tests.tiny_chat_models import saved
from tests.tiny_ltu import write_base, write_checkpoint

from audioprobe import LTU, Prompt, Scripted
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.chat.model import TransformersLM
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.probing.questions import CONDITIONS, Condition
from audioprobe.probing.results import ProbeOutcome
from audioprobe.protocols import LanguageModel

FEW = ("crow", "dog", "violin", "rain")
FOUR = SUBJECTS.subset(FEW)
HEARING: tuple[Condition, ...] = ("audio", "silence", "no audio")
SPOKEN = {name: tone(30 + n) for n, name in enumerate(FEW)}


def outcome(model: LanguageModel, options: PromptingOptions | None = None) -> ProbeOutcome:
    probe = ConceptProbe(model, concepts=FOUR, options=options, bootstrap=Bootstrap(50))
    return probe("hypernym", CLIPS, spoken=SPOKEN)


def test_each_condition_plays_and_tells_what_its_name_says() -> None:
    given: dict[str, list[Prompt]] = {}

    def answer(prompt: Prompt) -> str:
        given.setdefault(prompt.text, []).append(prompt)
        return "The sound of a crow." if "caption" in prompt.text else "Yes."

    found = outcome(Scripted(answer), PromptingOptions(likelihoods=False))
    assert found.conditions == CONDITIONS
    sounds = {clip.id: clip.waveform for clip in CLIPS} | {
        f"(spoken) {name}": wave for name, wave in SPOKEN.items()
    }
    around = "Someone describes a recording with these words: The sound of a crow.\n{}"
    for question in (trial.question for trial in found.where(relation="hypernym")):
        concept, phrase = question.pair.concept, question.pair.phrase
        told = question.condition == "caption"
        prompts = given[around.format(question.text) if told else question.text]
        played = [None if p.audio is None else p.audio.digest() for p in prompts]
        assert (phrase in question.text) == (question.condition == "text")
        if question.condition in ("text", "no audio", "caption"):
            assert question.audio == ""
            assert None in played
        elif question.condition in ("silence", "noise"):
            levels = [float(np.abs(p.audio.samples).max()) for p in prompts if p.audio]
            assert min(levels) == 0 if question.condition == "silence" else len(set(levels)) > 1
        else:
            sound = sounds[question.audio]
            assert sound is not None
            assert sound.digest() in played
            heard = HEARD.get(sound.digest())
            same = {"audio": concept, "spoken word": None}
            if question.condition == "wrong clip":
                assert heard != concept
            else:
                assert heard == same[question.condition]


def test_equal_prompts_are_asked_once_and_counted() -> None:
    given: Counter[str] = Counter()

    def answer(prompt: Prompt) -> str:
        given[prompt.digest()] += 1
        return "Yes."

    found = outcome(Scripted(answer), PromptingOptions(likelihoods=False))
    assert set(given.values()) == {1}
    assert len(given) == sum(found.n_calls.values()) < len(found.trials) + len(FEW)
    assert found.n_calls["captions"] == len(FEW)


def test_questions_about_a_sound_follow_each_other() -> None:
    order: list[str] = []

    def answer(prompt: Prompt) -> str:
        order.append("" if prompt.audio is None else prompt.audio.digest())
        return "Yes."

    found = outcome(Scripted(answer), PromptingOptions(likelihoods=False))
    asked = order[found.n_calls["captions"] :]
    changes = sum(one != other for one, other in pairwise(asked))
    assert changes == len(set(asked)) - 1


@pytest.fixture(scope="module")
def ltu(tmp_path_factory: pytest.TempPathFactory) -> LTU:
    folder = tmp_path_factory.mktemp("ltu")
    base = write_base(folder / "base")
    return LTU.from_pretrained(write_checkpoint(folder / "trained.bin"), base=base)


def test_an_ltu_encodes_each_sound_once_and_each_prompt_once_for_yes_and_no(ltu: LTU) -> None:
    sounds: list[int] = []
    passes: list[int] = []
    net = ltu._net
    hooks = [
        net.prefix.encoder.register_forward_hook(lambda *_: sounds.append(1)),
        net.llama.register_forward_hook(lambda *_: passes.append(1)),
    ]
    try:
        probe = ConceptProbe(
            ltu, concepts=FOUR, conditions=HEARING, options=PromptingOptions(free_text=False)
        )
        found = probe("hypernym", CLIPS)
    finally:
        for hook in hooks:
            hook.remove()
    played = {trial.question.audio for trial in found.trials} - {""}
    assert len(sounds) == len(played) == len(FEW) + 1  # and silence
    assert len(passes) == 2 * sum(found.n_calls.values())  # the prompt, and both answers at once
    assert not any(trial.failure for trial in found.trials)


def test_a_qwen2_audio_is_asked_as_it_is_used_to() -> None:
    conditions: tuple[Condition, ...] = ("text", "audio", "caption")
    probe = ConceptProbe(
        TransformersLM(saved("qwen2-audio")),
        concepts=SUBJECTS.subset(["crow", "violin"]),
        conditions=conditions,
        options=PromptingOptions(wordings="instructed", max_new_tokens=3),
    )
    found = probe("hypernym", CLIPS)
    assert found.conditions == conditions
    assert found.reading == "likelihood"
    assert [trial.failure for trial in found.trials if trial.failure] == []
    assert all(len(trial.log_likelihoods) == 2 for trial in found.trials)
    assert found.score("prior-corrected", condition="audio").n_trials > 0


def test_a_listener_that_captions_well_is_right_by_its_captions() -> None:
    assert outcome(listener()).score(condition="caption", relation="hypernym").accuracy.value == 1.0

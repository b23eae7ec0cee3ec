"""Recordings of activations: values, missing states, failures, size and resumption."""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.golden_ltu import character_tokenizer, tiny_net
from torch import Tensor

from audioprobe.errors import (
    AudioReadError,
    InvalidInputError,
    OutOfMemoryError,
    UnsupportedInputError,
)
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.interpretability.probe_prompts import ProbePrompts
from audioprobe.interpretability.recording import record, recording_size
from audioprobe.interpretability.recording_files import Recording, create_array
from audioprobe.models.ltu.model import LTU
from audioprobe.probing.trial import ConceptPair, Condition, ProbeQuestion, Trial
from audioprobe.progress import ProgressEvent
from audioprobe.sites import InspectedPrompt, SiteHook
from audioprobe.types import ComponentInfo, Example, Prompt, Waveform

SITES = ("encoder.pooled", "connector.out", "lm.embed", "blocks.1.hook_resid_post")
NAMES = ("encoder.pooled", "connector.out", "lm.embed", "lm.resid.1")
SPANS = ("audio", "audio[0s:0.64s]", "concept", "last")


def noise(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


class CountingLTU(LTU):
    """An LTU that counts forward passes."""

    n_passes = 0

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        self.n_passes += 1
        super().run_with_hooks(prompts, hooks, options)


def ltu() -> CountingLTU:
    info = ComponentInfo("language_model", "tiny", "1", {"dtype": "float32"})
    return CountingLTU(tiny_net(), character_tokenizer(), info)


def prompts(n: int = 5) -> list[InspectedPrompt]:
    return [
        InspectedPrompt(
            Prompt(f"Is a crow {'very ' * k}old?", noise(2 + k, k) if k % 3 else None),
            concept="crow" if k % 2 else "",
            id=f"prompt {k}",
        )
        for k in range(n)
    ]


def _states_of(model: LTU, item: InspectedPrompt) -> dict[str, Tensor]:
    states: dict[str, Tensor] = {}
    hooks = {site: lambda _, x, s=site: states.__setitem__(s, x.clone()) for site in NAMES}
    model.run_with_hooks([item], hooks)
    return states


def test_recorded_states_are_means_of_the_states_of_single_prompts(tmp_path: Path) -> None:
    model, items = ltu(), prompts()
    recording = record(model, items, SITES, SPANS, tmp_path / "run", batch_size=3)
    assert recording.sites == NAMES
    for number, item in enumerate(items):
        states = _states_of(model, item)
        layout = model.layout(item)
        for site in NAMES:
            for span in SPANS:
                positions = list(layout.positions(site, span))
                values = recording.states(site, span)[number]
                assert recording.missing(site, span)[number] == (not positions)
                if positions:
                    mean = states[site][positions].mean(dim=0).numpy()
                    np.testing.assert_allclose(values, mean, atol=1e-4)
                else:
                    assert np.isnan(values).all()


def test_files_are_one_safetensors_array_per_site_and_a_table(tmp_path: Path) -> None:
    recording = record(ltu(), prompts(), SITES, SPANS, tmp_path / "run")
    arrays = {site: load_file(tmp_path / "run" / f"{site}.safetensors") for site in NAMES}
    for site, content in arrays.items():
        assert set(content) == {"states"}
        assert content["states"].shape[:2] == (5, 4)
        assert content["states"].dtype == np.float32
        np.testing.assert_array_equal(content["states"][:, 3], recording.states(site, "last"))
    size = recording_size(ltu(), prompts(), SITES, SPANS)
    assert size == sum(content["states"].nbytes for content in arrays.values())
    table = (tmp_path / "run" / "prompts.csv").read_text("utf-8").splitlines()
    assert table[0].startswith("id,question,concept,continuation,seconds,n_tokens,failure,digest")
    assert [line.split(",")[0] for line in table[1:]] == [f"prompt {n}" for n in range(5)]
    assert recording.data().columns["seconds"] == [0.0, 3.0, 4.0, 0.0, 6.0]
    reopened = Recording.open(tmp_path / "run")
    assert reopened.rows == recording.rows
    np.testing.assert_array_equal(
        reopened.states("blocks.1.hook_resid_post", "audio"),
        recording.states("lm.resid.1", "audio"),
    )


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batch_size_does_not_change_a_recording(batch_size: int, tmp_path: Path) -> None:
    single = record(ltu(), prompts(), SITES, SPANS, tmp_path / "single", batch_size=1)
    other = record(ltu(), prompts(), SITES, SPANS, tmp_path / "other", batch_size=batch_size)
    for site in NAMES:
        for span in SPANS:
            np.testing.assert_allclose(
                single.states(site, span), other.states(site, span), atol=1e-4
            )


def test_other_poolings(tmp_path: Path) -> None:
    model, items = ltu(), prompts(3)
    spans = ("concept", "audio")
    every = record(model, items, ["lm.resid.0"], spans, tmp_path / "each", pooling="each")
    last = record(model, items, ["lm.resid.0"], spans, tmp_path / "last", pooling="last")
    mean = record(model, items, ["lm.resid.0"], spans, tmp_path / "mean")
    assert (
        recording_size(model, items, ["lm.resid.0"], spans, pooling="each")
        == 4 * 3 * 2 * 32 * (mean.states("lm.resid.0", "audio").shape[1])
    )
    for span, n_positions in (("concept", 4), ("audio", 32)):
        states = every.states("lm.resid.0", span)
        assert states.shape[1] == 32
        assert np.isnan(states[1, n_positions:]).all()
        np.testing.assert_allclose(states[1, n_positions - 1], last.states("lm.resid.0", span)[1])
        np.testing.assert_allclose(
            states[1, :n_positions].mean(axis=0), mean.states("lm.resid.0", span)[1], atol=1e-6
        )


_SCRIPT = """
import os, signal, sys
from tests.interpretability.test_recording import SITES, SPANS, ltu, prompts
from audioprobe.interpretability.recording import record

def kill(event):
    if event.done == 9:
        os.kill(os.getpid(), signal.SIGKILL)

record(ltu(), prompts(12), SITES, SPANS, sys.argv[1], batch_size=1, progress=kill)
"""


def _kill(folder: Path) -> None:
    """Record in another process, which is killed after nine prompts."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _SCRIPT, str(folder)]
    process = subprocess.run(command, cwd=root, check=False, capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


def _interrupt(folder: Path) -> None:
    """Record, and interrupt after nine prompts."""

    def interrupt(event: ProgressEvent) -> None:
        if event.done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(ltu(), prompts(12), SITES, SPANS, folder, batch_size=1, progress=interrupt)


@pytest.mark.parametrize("stop", [_interrupt, pytest.param(_kill, marks=pytest.mark.slow)])
def test_killed_and_resumed_recording_equals_an_uninterrupted_one(
    stop: Callable[[Path], None], tmp_path: Path
) -> None:
    stop(tmp_path / "killed")
    with pytest.raises(InvalidInputError, match="got 8 of 12 prompts"):
        Recording.open(tmp_path / "killed")
    with pytest.raises(InvalidInputError, match="different: spans"):
        record(ltu(), prompts(12), SITES, SPANS[:2], tmp_path / "killed")
    changed = prompts(12)
    changed[2] = InspectedPrompt(Prompt("Is a crow new?", changed[2].prompt.audio))
    with pytest.raises(InvalidInputError, match="different: prompt 2"):
        record(ltu(), changed, SITES, SPANS, tmp_path / "killed")
    model = ltu()
    resumed = record(model, prompts(12), SITES, SPANS, tmp_path / "killed", batch_size=1)
    assert model.n_passes == 4  # the prompts after the last save, and none to find the sizes
    whole = record(ltu(), prompts(12), SITES, SPANS, tmp_path / "whole", batch_size=1)
    assert resumed.rows == whole.rows
    for site in NAMES:
        files = [tmp_path / name / f"{site}.safetensors" for name in ("killed", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_failed_prompts_are_counted_and_do_not_stop_the_others(tmp_path: Path) -> None:
    items = prompts()
    items[2] = InspectedPrompt(Prompt("Why?", noise(0.01)))  # too short
    items[3] = InspectedPrompt(Prompt("Why?", examples=(Example("A?", "B.", noise(1)),)))
    items[4] = InspectedPrompt(Prompt("x" * 5000))  # longer than the context
    events: list[ProgressEvent] = []
    recording = record(ltu(), items, SITES, SPANS, tmp_path, progress=events.append)
    assert set(recording.failures) == {2, 3, 4}
    assert "examples with audio" in recording.failures[3]
    assert events[-1].n_failed == 3
    missing = recording.missing("lm.resid.1", "last")
    assert missing.tolist() == [False, False, True, True, True]


def test_prompts_of_a_batch_that_does_not_fit_into_memory_run_alone(tmp_path: Path) -> None:
    class SmallMemory(CountingLTU):
        def run_with_hooks(
            self,
            prompts: Sequence[InspectedPrompt],
            hooks: Mapping[str, SiteHook],
            options: ForwardOptions = NO_OPTIONS,
        ) -> None:
            super().run_with_hooks(prompts, hooks, options)
            if len(prompts) > 1:
                raise OutOfMemoryError

    small = SmallMemory(tiny_net(), character_tokenizer(), ltu().info)
    recording = record(small, prompts(3), ["lm.resid.0"], ["last"], tmp_path / "small")
    expected = record(ltu(), prompts(3), ["lm.resid.0"], ["last"], tmp_path / "all")
    assert recording.failures == {}
    states = recording.states("lm.resid.0", "last")
    np.testing.assert_allclose(states, expected.states("lm.resid.0", "last"), atol=1e-4)


def test_non_finite_states_are_a_failure_and_not_missing(tmp_path: Path) -> None:
    class Broken(CountingLTU):
        def run_with_hooks(
            self,
            prompts: Sequence[InspectedPrompt],
            hooks: Mapping[str, SiteHook],
            options: ForwardOptions = NO_OPTIONS,
        ) -> None:
            def broken(hook: SiteHook, n: int, states: Tensor) -> Tensor | None:
                bad = prompts[n].id == "prompt 1"
                return hook(n, torch.full_like(states, torch.nan) if bad else states)

            wrapped = {s: lambda n, x, h=hook: broken(h, n, x) for s, hook in hooks.items()}
            super().run_with_hooks(prompts, wrapped, options)

    info = ComponentInfo("language_model", "broken")
    broken = Broken(tiny_net(), character_tokenizer(), info)
    recording = record(broken, prompts(3), ["lm.resid.0"], ["last"], tmp_path)
    assert list(recording.failures) == [1]
    assert recording.failures[1].startswith("NonFiniteError")
    assert recording.missing("lm.resid.0", "last").tolist() == [False, True, False]


def test_invalid_arguments_raise_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(InvalidInputError, match=r"Did you mean 'lm\.resid\.0'"):
        record(ltu(), prompts(), ["lm.residual.0"], SPANS, folder)
    with pytest.raises(InvalidInputError, match="Did you mean 'audio'"):
        record(ltu(), prompts(), SITES, ["adio"], folder)
    with pytest.raises(InvalidInputError, match="at least one prompt"):
        record(ltu(), [], SITES, SPANS, folder)
    with pytest.raises(InvalidInputError, match="pooling"):
        record(ltu(), prompts(), SITES, SPANS, folder, pooling="max")  # type: ignore[arg-type]
    assert not folder.exists()
    with pytest.raises(InvalidInputError, match=r"The recording needs \d[\d,]* bytes"):
        record(ltu(), prompts(), SITES, SPANS, folder, max_bytes=1000)
    assert not list(folder.glob("*.safetensors"))
    with pytest.raises(InvalidInputError, match="The prompts have no audio"):
        record(ltu(), [Prompt("Why?")], ["connector.out"], ["audio"], folder)
    with pytest.raises(InvalidInputError, match="found no"):
        Recording.open(folder)


def test_unrecorded_names_raise_with_the_nearest_name(tmp_path: Path) -> None:
    recording = record(ltu(), [Prompt("Why?")], ["lm.resid.*"], ["last"], tmp_path)
    with pytest.raises(InvalidInputError, match="Expected a recorded site"):
        recording.states("lm.embed", "last")
    with pytest.raises(InvalidInputError, match="Expected a recorded span"):
        recording.states("lm.resid.0", "audio")
    card = json.loads((tmp_path / "recording.json").read_text())
    assert card["settings"]["model"]["name"] == "tiny"


def _question(condition: Condition, text: str, audio: str = "") -> ProbeQuestion:
    pair = ConceptPair(
        concept="crow",
        phrase="a crow",
        relation="hypernym",
        target="bird",
        target_phrase="a bird",
        holds=True,
    )
    return ProbeQuestion(
        pair=pair,
        condition=condition,
        audio=audio,
        clip=audio,
        text=text,
        correct=0,
    )


def test_prompts_of_a_probe_load_each_sound_when_it_is_used(tmp_path: Path) -> None:
    loaded: list[str] = []

    def load(key: str) -> Callable[[], Waveform]:
        def sound() -> Waveform:
            loaded.append(key)
            if key == "damaged":
                raise AudioReadError("damaged")
            return noise(2.0)

        return sound

    questions = [
        _question("text", "Is a crow a bird?"),
        _question("audio", "Is this a bird?", "clip"),
        _question("audio", "Is it a bird?", "damaged"),
    ]
    items = ProbePrompts(questions, {k: load(k) for k in ("clip", "damaged")}, answer="correct")
    assert loaded == []
    assert [len(items), items[0].concept, items[0].continuation] == [3, "a crow", "yes"]
    assert [item.prompt.text for item in items[:2]] == ["Is a crow a bird?", "Is this a bird?"]
    recording = record(ltu(), items, ["lm.embed"], ["concept", "answer", "audio"], tmp_path)
    assert recording.missing("lm.embed", "concept").tolist() == [False, True, True]
    assert recording.missing("lm.embed", "audio").tolist() == [True, False, True]
    assert recording.missing("lm.embed", "answer").tolist() == [False, False, True]
    assert recording.failures == {2: "AudioReadError: damaged"}


def test_prompts_of_a_probe_need_what_they_are_asked_for() -> None:
    question = _question("caption", "Is this a bird?")
    with pytest.raises(UnsupportedInputError, match='"caption"'):
        ProbePrompts([question], {})
    trials = [Trial(question=_question("text", "Is a crow a bird?"), response="Yes, it is.")]
    assert ProbePrompts(trials, {}, answer="response")[0].continuation == "Yes, it is."
    with pytest.raises(InvalidInputError, match="without one"):
        ProbePrompts([_question("text", "Is a crow a bird?")], {}, answer="response")


def test_a_disk_without_space_is_an_error_before_recording(tmp_path: Path) -> None:
    path = tmp_path / "lm.resid.0.safetensors"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(InvalidInputError, match="space for"):
            create_array(path, (1000, 4, 64))
        create_array(tmp_path / "small.safetensors", (10, 2, 8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, earlier)
    assert [file.name for file in tmp_path.iterdir()] == ["small.safetensors"]

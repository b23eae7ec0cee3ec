"""Backends are found by name and described without import, also those of other distributions."""

import subprocess
import sys
from pathlib import Path

import pytest

from audioprobe import CaptionClassifier, ConceptProbe, LikelihoodClassifier, ZeroShotClassifier
from audioprobe.datasets.recordings import FOLDER
from audioprobe.errors import (
    BackendNotFoundError,
    InvalidInputError,
    MissingDependencyError,
    WeightsError,
    needs_extra,
)
from audioprobe.registry import available, load

PLUGIN = Path(__file__).parent / "data" / "plugin"


def test_built_in_backends_are_listed_and_usable() -> None:
    backends = {(backend.kind, backend.name): backend for backend in available()}
    assert {
        ("encoder", "ast"),
        ("encoder", "birdnet"),
        ("encoder", "linear-tagger"),
        ("audio_tokenizer", "kmeans"),
        ("language_model", "tag-captioner"),
        ("language_model", "tool-agent"),
        ("embedder", "openai"),
        ("embedder", "sentence-transformers"),
        ("scorer", "embedding"),
        ("scorer", "keyword"),
        ("dataset", "recordings"),
    } <= set(backends)
    assert not any(backend.missing for backend in backends.values())
    assert {b.kind for b in available("scorer")} == {"scorer"}


def test_backend_is_built_with_argument_and_options() -> None:
    embedder = load("embedder", "openai:text-embedding-3-small", dimensions=64)
    assert (embedder.info.name, embedder.info.options) == (
        "text-embedding-3-small",
        {"dimensions": 64},
    )
    assert load("embedder", embedder) is embedder


def test_agent_is_built_from_names() -> None:
    agent = load("language_model", "tool-agent:scripted:ANSWER yes", tools=["caption:scripted:a"])
    assert agent.info.options["tools"] == ("caption",)
    assert agent.info.parts["controller"].name == "TextController"


def test_unknown_name_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(BackendNotFoundError, match=r"Did you mean 'birdnet'.*ast, birdnet"):
        load("encoder", "birdnett")
    with pytest.raises(InvalidInputError, match="kind must be one of"):
        load("encoders", "birdnet")  # type: ignore[call-overload]


def test_name_of_another_kind_gets_a_hint() -> None:
    with pytest.raises(BackendNotFoundError, match="birdnet is an encoder: tag-captioner:birdnet"):
        load("language_model", "birdnet")
    with pytest.raises(BackendNotFoundError, match="openai is an embedder: embedding:openai"):
        load("scorer", "openai")


def test_missing_option_is_named() -> None:
    with pytest.raises(InvalidInputError, match="missing a required argument: 'answer'"):
        load("language_model", "scripted")


def test_unknown_option_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="unknown option 'colour'"):
        load("scorer", "keyword", colour="red")


def test_missing_package_is_named_with_its_pip_command() -> None:
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'audioprobe\[birdnet\]'"),
        needs_extra("birdnet"),
    ):
        import nothing_of_this_name  # type: ignore[import-not-found]  # noqa: F401


@pytest.fixture(scope="session")
def site_with_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the plugin distribution."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", folder, PLUGIN], check=True
    )
    return folder


def _in_process_with(site: Path, code: str) -> str:
    program = f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_backend_of_another_distribution_is_loaded_and_passes_its_check(
    site_with_plugin: Path,
) -> None:
    printed = _in_process_with(
        site_with_plugin,
        "from audioprobe import available, load\n"
        "from audioprobe.testing import check_encoder\n"
        "[hum] = [b for b in available('encoder') if b.name == 'hum']\n"
        "print('hum' in sys.modules, hum.distribution, hum.missing)\n"
        "check_encoder(load('encoder', 'hum:2.0'))\n"
        "print(load('encoder', 'hum', gain=3).info.options)\n",
    )
    assert printed.splitlines() == ["False audioprobe-hum 0.3 ()", "{'gain': 3.0}"]


def test_backend_without_its_extra_names_what_to_install(
    site_with_plugin: Path,
) -> None:
    printed = _in_process_with(
        site_with_plugin,
        "from audioprobe import AudioProbeError, available, load\n"
        "[loud] = [b for b in available('encoder') if b.name == 'loud-hum']\n"
        "print(loud.missing, loud.install)\n"
        "try: load('encoder', 'loud-hum')\n"
        "except AudioProbeError as error: print(type(error).__name__, error)\n",
    )
    described, refused = printed.splitlines()
    assert described == ("('a-package-that-nobody-has>=1',) pip install 'audioprobe-hum[loud]'")
    assert refused.startswith("MissingDependencyError")
    assert "pip install 'audioprobe-hum[loud]'" in refused


@pytest.mark.parametrize("study", [CaptionClassifier, LikelihoodClassifier])
def test_clips_are_checked_before_a_model_is_loaded(
    study: type[CaptionClassifier] | type[LikelihoodClassifier], tmp_path: Path
) -> None:
    """The name is valid and the weights are missing: loading would raise a WeightsError."""
    classifier = study(f"ltu:{tmp_path / 'no-weights'}")
    with pytest.raises(InvalidInputError, match="no-recordings"):
        classifier(str(tmp_path / "no-recordings"), ["crow"])
    with pytest.raises(WeightsError):
        classifier(str(FOLDER / "crow.flac"), ["crow"])


def test_clips_are_checked_before_an_encoder_or_a_probed_model_is_loaded(tmp_path: Path) -> None:
    missing = str(tmp_path / "no-recordings")
    with pytest.raises(InvalidInputError, match="no-recordings"):
        ZeroShotClassifier(f"clap:{tmp_path / 'no-weights'}")(missing, ["crow"])
    with pytest.raises(InvalidInputError, match="no-recordings"):
        ConceptProbe(f"ltu:{tmp_path / 'no-weights'}")(clips=missing)


def test_wrong_name_is_refused_at_construction() -> None:
    for study in (CaptionClassifier, LikelihoodClassifier, ConceptProbe):
        with pytest.raises(BackendNotFoundError):
            study("no-such-model:argument")
    with pytest.raises(BackendNotFoundError):
        ZeroShotClassifier("no-such-encoder")
    with pytest.raises(BackendNotFoundError):
        CaptionClassifier("scripted:a crow", "no-such-scorer")

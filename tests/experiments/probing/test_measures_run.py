"""Measures of a probe in the command, in a configuration, and in the files of a run."""

import shutil
import tomllib
from pathlib import Path

import pytest
from pyarrow import parquet
from tests.probing.known_models import CLIPS, CONCEPTS, known_model, recognise_half
from tests.processes import run_cli

from audioprobe import Cascade
from audioprobe.datasets.recordings import FOLDER
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.probing.analysis import model_differences
from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.experiments.probing.tables import comparisons_table
from audioprobe.io.config import parse_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeOutcome
from audioprobe.probing.plotting import plot_audio_use
from audioprobe.protocols import LanguageModel

FEW = Bootstrap(50)


@pytest.mark.slow
def test_the_command_has_all_conditions_forms_and_samples(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("crow.flac", "piano.flac", "door.flac"):
        shutil.copy(FOLDER / name, clips)
    folder = tmp_path / "run"
    options = {
        "--model": "scripted:Yes.",
        "--clips": str(clips),
        "--pairs": "hypernym,synonym",
        "--conditions": "text,audio,wrong clip,no audio,window,conflicting text",
        "--forms": "yes-no,negated,reversed",
        "--samples": "3",
        "--temperature": "0.5",
        "--n-windows": "3",
        "--n-clips": "1",
        "--out": str(folder),
    }
    done = run_cli("probe", *(word for pair in options.items() for word in pair))
    assert done.returncode == 0, done.stderr
    for text in ("audio reliance", "3 windows", "answers follow the text", "3 samples"):
        assert text in " ".join(done.stdout.split())
    rows = parquet.read_table(folder / "trials.parquet").to_pylist()
    assert {tuple(row["sampled_choices"]) for row in rows} == {(0, 0, 0)}
    conflicts = [row for row in rows if row["condition"] == "conflicting text"]
    assert conflicts
    assert all(row["text_option"] == 1 - row["correct"] for row in conflicts)
    assert {row["form"] for row in rows} == {"yes-no", "negated", "reversed"}
    assert "audio reliance" in (folder / "summary.md").read_text("utf-8")
    assert "Audio use, consistency and stability" in (folder / "report.html").read_text("utf-8")
    config = tomllib.loads((folder / "config.toml").read_text("utf-8"))
    assert config["models"][0]["prompting"]["sampling"] == {"temperature": 0.5}


def test_a_configuration_has_samples_windows_and_a_sampling_seed() -> None:
    text = """
    kind = "probe"
    forms = ["yes-no", "reversed"]
    n_windows = 3

    [[models]]
    name = "a"
    model = { name = "scripted:Yes." }
    conditions = ["window", "conflicting text"]
    prompting = { samples = 4, sampling = { temperature = 0.7, top_p = 0.9, seed = 5 } }
    """
    config = parse_config(ProbeConfig, tomllib.loads(text), "x")
    assert config.n_windows == 3
    decodings = config.models[0].prompting.sampling_decodings
    assert [(d.seed, d.temperature, d.top_p) for d in decodings] == [
        (seed, 0.7, 0.9) for seed in (5, 6, 7, 8)
    ]


def outcome_of(model: LanguageModel) -> ProbeOutcome:
    probe = ConceptProbe(
        model,
        concepts=CONCEPTS,
        conditions=("audio", "wrong clip", "no audio"),
        n_clips=1,
        bootstrap=FEW,
    )
    return probe("hypernym", CLIPS)


def test_models_are_compared_by_kappa_with_a_matched_cascade() -> None:
    model = known_model(recognise_half)
    cells = [
        ProbeCell(name, "x", None, outcome_of(each))
        for name, each in (("model", model), ("cascade", Cascade(model, model)))
    ]
    comparisons = [c for c in model_differences(cells, FEW) if c.relation == "hypernym"]
    audio = next(c for c in comparisons if c.condition == "audio")
    assert audio.agreement is not None
    assert (audio.agreement.first, audio.agreement.second) == ("cascade--x", "model--x")
    assert audio.agreement.kappa.value is not None
    table = comparisons_table(comparisons)
    column = table.header.index("Cohen's kappa")
    assert table.rows[comparisons.index(audio)][column] == str(audio.agreement.kappa)


@pytest.mark.parametrize("name", ["$a_1$", "<b>"])
def test_the_plot_of_both_axes_has_each_model_and_lists_undefined_axes(name: str) -> None:
    use = outcome_of(known_model()).audio_use()
    undefined = outcome_of(known_model()).subset(condition="audio").audio_use()
    axes = plot_audio_use({name: use, "other": undefined})
    assert [text.get_text() for text in axes.texts] == [name]
    assert "other" in axes.get_title()
    with pytest.raises(InvalidInputError, match="No value is defined"):
        plot_audio_use({"other": undefined})

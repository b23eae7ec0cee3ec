"""A run of concept probes: several models and evaluation sets, in a folder that can continue."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from tests.browser import opened
from tests.datasets.layouts import edansa_table, sound, table
from tests.experiments.slow_backend import install
from tests.probing.known_models import CLIPS, CONCEPTS, always_yes, known_model, recognise_nothing
from tests.processes import run_cli, start_cli
from tests.tiny_chat_models import saved
from tests.tiny_ltu import write_base, write_checkpoint

from audioprobe import Concepts, Waveform
from audioprobe.audio.transforms import wav_bytes
from audioprobe.datasets.edansa import EDANSA
from audioprobe.datasets.relabelled import read_mapping
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import MAPPINGS, SHIPPED_CONFIGS
from audioprobe.experiments.probing.analysis import familiarity_drops, model_differences
from audioprobe.experiments.probing.config import ProbeConfig, read_probe
from audioprobe.experiments.probing.run import ProbeCell, ProbeRun
from audioprobe.io.config import parse_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.ltu.saving import convert_ltu
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.results import ProbeOutcome
from audioprobe.protocols import LanguageModel

FEW = Bootstrap(200)
CONFIG = """
kind = "probe"
bootstrap = { n_resamples = 50 }

[[models]]
name = "first"
model = { name = "MODEL" }
conditions = ["text", "audio", "caption"]

[[models]]
name = "second"
model = { name = "scripted:No." }
evaluation_sets = ["recordings"]
conditions = ["text"]

[[evaluation_sets]]
name = "recordings"
dataset = { name = "recordings" }
familiar = false

[[evaluation_sets]]
name = "synthetic"
dataset.name = "synthetic"
dataset.options = { n_clips = 4, max_sources = 1, palette = ["crow", "bell"] }
split = "test"
familiar = true
"""


def written(folder: Path, model: str = "scripted:Yes.") -> Path:
    path = folder / "two.toml"
    path.write_text(CONFIG.replace("MODEL", model))
    return path


def test_every_model_is_probed_on_its_evaluation_sets_and_all_is_stored(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run_cli("run", str(written(tmp_path)), "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert "first, recordings: always says yes" in done.stdout
    assert "second, recordings: always says no" in done.stdout
    heads = [line for line in done.stdout.splitlines() if "condition" in line]
    assert len(heads) == 3
    assert all(line.split()[-2:] == ["invalid", "failed"] for line in heads)  # nothing is cut off
    rows = parquet.read_table(folder / "trials.parquet").to_pylist()
    cells = {(row["model"], row["evaluation_set"]) for row in rows}
    assert cells == {
        ("first", "recordings"),
        ("first", "synthetic"),
        ("second", "recordings"),
    }
    assert {r["condition"] for r in rows if r["model"] == "second"} == {"text"}
    outcome = ProbeOutcome.from_json((folder / "results/first--recordings.json").read_text())
    selected = [r for r in rows if (r["model"], r["evaluation_set"]) == ("first", "recordings")]
    assert [r["question"] for r in selected] == [t.question.text for t in outcome.trials]
    assert [r["choice"] for r in selected] == [t.choice(outcome.reading) for t in outcome.trials]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["pinned"]["models"]) == {"first", "second"}
    assert set(manifest["pinned"]["clips"]) == {"recordings", "synthetic"}
    with opened(folder / "report.html") as (page, complaints):
        assert complaints == []
        assert 3 <= page.locator(".findings li").count() <= 5
        models = page.locator(".samples label", has_text="model and condition")
        names = models.locator("option").all_text_contents()
        assert {"first: audio", "first: text", "second: text"} <= set(names)
        headings = page.locator("h2").all_text_contents()
        assert {"Models", "Familiar and unfamiliar audio", "Models compared"} <= set(headings)
        page.get_by_role("link", name="first on synthetic", exact=True).click()
        page.locator(".samples label", has_text="condition").locator("select").select_option(
            label="audio"
        )
        sounds = page.locator(".cards audio")
        assert sounds.count() > 0
        source = sounds.first.get_attribute("src") or ""
        assert (folder / "results" / source).is_file()  # was in memory, lies beside the page


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_one_that_was_left_alone(tmp_path: Path) -> None:
    log, alone_log = tmp_path / "asked", tmp_path / "asked-alone"
    environment = install(tmp_path / "backend", log, 0.01)
    config = written(tmp_path, "slow")
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    for wanted in (20, 45):
        process = start_cli("run", str(config), "--out", str(killed), cwd=tmp_path, **environment)
        while not log.is_file() or len(log.read_text().splitlines()) < wanted:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.kill()
        process.communicate()
    last = run_cli("run", str(config), "--out", str(killed), **environment)
    assert last.returncode == 0, last.stderr
    whole = run_cli(
        "run", str(config), "--out", str(alone), **environment | {"SLOW_LOG": str(alone_log)}
    )
    assert whole.stdout.splitlines()[:-1] == last.stdout.splitlines()[:-1]
    prompts, once = (path.read_text().splitlines() for path in (log, alone_log))
    assert len(once) <= len(prompts) <= len(once) + 2  # at most one question again, each kill
    for name in ("trials.parquet", "summary.md", "summary.tex"):
        assert (killed / name).read_bytes() == (alone / name).read_bytes(), name


@pytest.mark.slow
def test_runs_that_share_a_cache_ask_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    environment = install(tmp_path / "backend", log, 0.0)
    config = written(tmp_path, "slow")
    config.write_text(f'cache = "{tmp_path}/shared.sqlite"\n{config.read_text()}')
    counts = []
    for name in ("one", "two"):
        done = run_cli("run", str(config), "--out", str(tmp_path / name), **environment)
        assert done.returncode == 0, done.stderr
        counts.append(len(log.read_text().splitlines()))
    assert counts[0] == counts[1] > 0
    trials = [(tmp_path / name / "trials.parquet").read_bytes() for name in ("one", "two")]
    assert trials[0] == trials[1]


def test_spoken_words_are_pinned_with_the_questions(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.mkdir()
    text = f'kind = "probe"\nspoken = "{words}"\nconcepts = {{ only = ["crow", "violin"] }}\n'
    text += '[[models]]\nname = "one"\nmodel = { name = "scripted:Yes." }\n'
    text += 'conditions = ["text", "spoken word"]\n'
    digests = []
    for level in (0.1, 0.1, 0.2):
        for name in ("crow", "violin"):
            wave = Waveform(np.full(800, level, np.float32), 8000)
            (words / f"{name}.wav").write_bytes(wav_bytes(wave)[0])
        (planned,) = ProbeRun(parse_config(ProbeConfig, parsed(text), "t"), text).planned
        digests.append(planned.questions.digest())
    assert digests[0] == digests[1] != digests[2]


def cell(model: LanguageModel, name: str, sounds: str, *, familiar: bool | None) -> ProbeCell:
    probe = ConceptProbe(model, concepts=CONCEPTS, conditions=("text", "audio"), bootstrap=FEW)
    return ProbeCell(name, sounds, familiar, probe("hypernym", CLIPS))


def test_what_is_lost_on_unfamiliar_sound_has_a_known_answer() -> None:
    known = cell(known_model(), "one", "known", familiar=True)
    new = cell(known_model(recognise_nothing), "one", "new", familiar=False)
    other = cell(known_model(), "two", "new", familiar=False)
    drops = {(c.condition, c.relation): c for c in familiarity_drops([known, new, other], FEW)}
    assert set(drops) == {("text", "hypernym"), ("audio", "hypernym"), ("audio", "identity")}
    assert drops["text", "hypernym"].difference.value == 0.0
    audio = drops["audio", "hypernym"]
    assert (audio.first, audio.second) == ("one--new", "one--known")
    assert audio.difference.value == pytest.approx(-0.5)
    assert audio.difference.high is not None
    assert audio.difference.high < -0.3


def test_models_are_compared_question_by_question() -> None:
    base = cell(always_yes(), "yes", "same", familiar=None)
    perfect = cell(known_model(), "perfect", "same", familiar=None)
    elsewhere = cell(known_model(), "perfect", "other", familiar=None)
    differences = model_differences([base, perfect, elsewhere], FEW)
    by_condition = {(c.condition, c.relation): c for c in differences}
    assert set(by_condition) == {("text", "hypernym"), ("audio", "hypernym"), ("audio", "identity")}
    text = by_condition["text", "hypernym"]
    assert text.difference.value == pytest.approx(0.5)
    assert text.mcnemar is not None
    assert text.mcnemar.p_value is not None
    assert text.mcnemar.p_value < 1e-6
    assert text.permutation is not None
    assert text.permutation.p_value is not None
    assert text.permutation.p_value < 0.01


def test_questions_do_not_depend_on_the_order_of_models() -> None:
    tables = parsed(CONFIG.replace("MODEL", "scripted:Yes."))
    turned = tables | {"models": tables["models"][::-1]}
    digests = [
        {
            planned.name: planned.questions.digest()
            for planned in ProbeRun(parse_config(ProbeConfig, t, "t"), "").planned
        }
        for t in (tables, turned)
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 3


def parsed(text: str) -> dict[str, list[object]]:
    import tomllib

    return tomllib.loads(text)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('sets = ["recordings"]', 'sets = ["recrodings"]', "Did you mean 'recordings'"),
        ('name = "second"', 'name = "first"', "names of models must be unique"),
        ('name = "second"', 'name = "../second"', "becomes a file name"),
        (
            'split = "test"',
            'split = "test"\nfolder = "there"',
            "expected `dataset` or `folder`, received both",
        ),
        (
            'dataset = { name = "recordings" }',
            'folder = "x"\nmapping = "y"',
            "expected a data set for `mapping`",
        ),
        ('split = "test"', 'split = "tset"', "tset"),
        ('conditions = ["text"]', 'conditions = ["txt"]', "Did you mean 'text'"),
        ('kind = "probe"', 'kind = "prob"', "received 'prob'"),
        ('kind = "probe"', 'kind = "probe"\nseeds = 1', "Did you mean 'seed'"),
        (
            'kind = "probe"',
            'kind = "probe"\nconcepts = {source="table"}',
            "expected a value of 'path'",
        ),
        ('kind = "probe"', 'kind = "probe"\nspoken = "nowhere"', "nowhere"),
    ],
)
def test_bad_configurations_are_refused(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(CONFIG.replace("MODEL", "scripted:Yes.").replace(before, after, 1))
    refused = run_cli("run", str(path), "--out", str(tmp_path / "run"))
    assert refused.returncode == 2
    assert message in " ".join(refused.stderr.split())
    assert not (tmp_path / "run").exists()


def test_the_configuration_that_ships_has_all_conditions_and_both_kinds_of_sound() -> None:
    run = ProbeRun(read_probe("concepts"), "")
    conditions = {
        planned.name: {q.condition for q in planned.questions.questions} for planned in run.planned
    }
    assert conditions["smollm2-base--recordings"] == {"text"}
    assert len(conditions["mini--recordings"]) == len(conditions["mini--synthetic"]) == 7
    for planned in run.planned:
        rights: dict[tuple[object, ...], list[bool]] = {}
        for question in planned.questions.questions:
            if question.form == "yes-no":
                key = question.condition, question.pair.target, question.wording
                rights.setdefault(key, []).append(question.correct == 0)
        assert all(np.mean(holds) == 0.5 for holds in rights.values())


AUDIOSET = {
    "/m/04s8yn": "Crow",
    "/m/06mb1": "Rain",
    "/m/0bt9lr": "Dog",
    "/m/07y_7": "Violin, fiddle",
}
EDANSA_COLUMNS = {
    "grouse": ("Bio", "Bird", "Grous"),
    "insect": ("Bio", "Bug"),
    "wind": ("Geo", "Wind"),
    "aircraft": ("Anth", "Airc"),
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders that the study's configuration names, with a few clips, and two tiny models."""
    folder = tmp_path / "data" / "audioset"
    classes = [(n, mid, name) for n, (mid, name) in enumerate(AUDIOSET.items())]
    table(folder / "class_labels_indices.csv", ("index", "mid", "display_name"), classes)
    rows = [f'{n:011d}, 0.000, 10.000, "{mid}"' for n, mid, _ in classes]
    (folder / "eval_segments.csv").write_text(
        "\n".join(["# one", "# two", "# three", *rows]) + "\n"
    )
    for n, _, _ in classes:
        sound(folder / "eval" / f"{n:011d}.wav")
    home = tmp_path / "data" / "EDANSA-2019"
    home.mkdir()
    data = EDANSA(edansa_table(home).parent, names="columns")
    for columns in EDANSA_COLUMNS.values():
        clip = next(clip for clip in data.listed("test") if clip.labels == columns)
        assert clip.path is not None
        sound(clip.path)
    write_base(tmp_path / "base")
    write_checkpoint(tmp_path / "ltu.bin")
    convert_ltu(tmp_path / "ltu.bin", tmp_path / "models" / "ltu-13b", base=tmp_path / "base")
    (tmp_path / "models" / "Qwen2-Audio-7B-Instruct").symlink_to(saved("qwen2-audio"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_shipped_study_runs_with_weights_and_audio(study: Path) -> None:
    text = (SHIPPED_CONFIGS / "concepts-study.toml").read_text()
    for old, new in {
        'forms = ["yes-no", "negated", "choice"]': 'forms = ["yes-no"]',
        'negatives = ["random", "adversarial"]': 'negatives = ["random"]',
        'pairs = ["hypernym", "synonym"]': 'pairs = ["hypernym"]',
        '"{}" }': '"{}", max_new_tokens = 2 }\nconditions = ["text", "audio"]',
        "n_orders = 4\n": "n_orders = 4\nbootstrap = { n_resamples = 20 }\n",
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    text = text.replace(
        'name = "ltu:models/ltu-13b" }',
        'name = "ltu:models/ltu-13b" }\nprompting = { free_text = false }\n'
        'conditions = ["text", "audio"]',
    )
    cells = ProbeRun(parse_config(ProbeConfig, parsed(text), "study"), text)(study / "run")
    concepts = {
        cell.evaluation_set: {p.concept for p in cell.outcome.clips.values()} for cell in cells
    }
    assert concepts == {"audioset": {"crow", "rain", "dog", "violin"}, "edansa": {*EDANSA_COLUMNS}}
    assert len(cells) == 4
    assert not any(trial.failure for cell in cells for trial in cell.outcome.trials)
    assert {(c.first, c.second) for c in familiarity_drops(cells, FEW)} == {
        ("ltu-13b--edansa", "ltu-13b--audioset"),
        ("qwen2-audio--edansa", "qwen2-audio--audioset"),
    }


def test_names_that_edansas_labels_become_are_concepts_or_classes() -> None:
    names = set(read_mapping(MAPPINGS / "edansa-concepts.csv").values())
    shipped = Concepts.shipped()
    hypernyms = {hypernym.name for hypernym in shipped.hypernyms}
    assert {n for n in names if n not in {c.name for c in shipped}} <= hypernyms


def test_text_condition_alone_needs_no_audio(tmp_path: Path) -> None:
    text = 'kind = "probe"\nconcepts = { only = ["crow", "dog", "violin", "rain"] }\n'
    text += '[[models]]\nname = "one"\nmodel = { name = "scripted:Yes." }\n'
    cells = ProbeRun(parse_config(ProbeConfig, parsed(text), "t"), text)(tmp_path / "run")
    assert [planned.name for planned in cells] == ["one--text-only"]
    assert cells[0].outcome.conditions == ("text",)
    with pytest.raises(InvalidInputError, match="no concept 'crwo'"):
        ProbeRun(parse_config(ProbeConfig, parsed(text.replace('"crow"', '"crwo"')), "t"), text)

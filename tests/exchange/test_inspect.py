"""Tasks, logs and models with the real inspect_ai; its model `mockllm/model` answers."""

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.exchange.probes import FEW
from tests.probing.known_models import CONCEPTS, NAMES, known_model, tone

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.exchange import analyze_logs, read_log, write_inspect
from audioprobe.probing import (
    PreparedProbe,
    ProbeOutcome,
    PromptingOptions,
    QuestionConfig,
    prepare_probe,
    read_wordings,
    run_probe,
)
from audioprobe.types import Clip, Prompt, Waveform

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

inspect_ai: Any = pytest.importorskip("inspect_ai", reason="needs the extra exchange")


def rounded(number: int) -> Waveform:
    """A tone that 16 bits store exactly, as those of files in the folder of a task."""
    samples = np.round(tone(number).samples * 32768) / 32768 + 0.0  # without negative zeros
    return Waveform(samples.astype(np.float32), tone(number).sample_rate)


SOUNDS = {name: rounded(n) for n, name in enumerate(NAMES[:4])}
CLIPS = [Clip(id=f"{name}.wav", labels=(name,), waveform=w) for name, w in SOUNDS.items()]
BY_DIGEST = {waveform.digest(): name for name, waveform in SOUNDS.items()}


def recognise_half(prompt: Prompt) -> str:
    """Perception that recognises two of the four concepts."""
    name = BY_DIGEST[prompt.audio.digest()] if prompt.audio else ""
    return name if name in NAMES[:4:2] else ""


@cache
def probe() -> PreparedProbe:
    """A probe without long sounds, because inspect_ai writes them into its logs."""
    config = QuestionConfig(
        wordings=read_wordings("plain"), conditions=("text", "audio", "no audio"), n_clips=1
    )
    return prepare_probe(CONCEPTS.subset(NAMES[:4]), config, "hypernym", CLIPS)


@cache
def outcome() -> ProbeOutcome:
    options = PromptingOptions(likelihoods=False)
    return run_probe(known_model(recognise_half), probe(), options, FEW)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect streams that inspect_ai leaves open while their warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspect") / "task"
    write_inspect(probe().questions, probe().sounds, path)
    return path


def mock(answer: Callable[[Any], str]) -> Any:
    """The mock model; usage is given, because counting tokens needs a file from the network."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def respond(messages: Any, *_: object) -> Any:
        output = ModelOutput.from_content("mock", answer(messages))
        output.usage = ModelUsage()
        return output

    return get_model("mockllm/model", custom_outputs=respond)


def run(task: Any, model: Any, logs: Path, log_format: str = "eval", **options: Any) -> Any:
    with ExitStack() as stack:
        if isinstance(task, Path):  # inspect_ai takes files relative to the working directory
            stack.enter_context(chdir(task.parent))
            task = task.name
        (log,) = inspect_ai.eval(
            task, model, display="none", log_dir=str(logs), log_format=log_format, **options
        )
    assert log.status == "success", log.error
    return log


def metrics(log: Any) -> dict[str, float]:
    return {name: m.value for score in log.results.scores for name, m in score.metrics.items()}


def answer_known(messages: Any) -> str:
    """The response of the scripted model that recognises every other concept."""
    from audioprobe.exchange.inspect_model import prompt_of

    (response,) = known_model(recognise_half).generate([prompt_of(messages)])
    return response.text


@pytest.mark.parametrize("log_format", ["eval", "json"])
def test_log_of_a_probe_has_the_trials_of_the_probe(
    folder: Path, tmp_path: Path, log_format: str
) -> None:
    from audioprobe.exchange.inspect_task import concept_task

    log = run(concept_task(folder), mock(answer_known), tmp_path, log_format)
    scored = read_log(log.location, model="known")
    assert scored.trials == outcome().trials
    assert scored.n_missing == 0
    analysis = analyze_logs([scored], bootstrap=FEW)
    assert analysis.differences[0].difference == outcome().modality_gap().difference
    values = metrics(log)
    for condition in ("text", "audio", "no audio"):
        score = outcome().score(condition=condition)
        assert values[f"{condition} accuracy"] == pytest.approx(score.accuracy.value)
        assert values[f"{condition} strict"] == pytest.approx(score.strict_accuracy.value)
        assert values[f"{condition} invalid"] == score.n_invalid
        assert values[f"{condition} n"] == score.n_trials


def test_invalid_answers_are_a_value_of_their_own(folder: Path, tmp_path: Path) -> None:
    from audioprobe.exchange.inspect_task import concept_task

    log = run(concept_task(folder), mock(lambda _: "Perhaps."), tmp_path)
    assert {s.scores["probe_scorer"].value for s in log.samples} == {"N"}
    values = metrics(log)
    assert "text accuracy" not in values
    assert values["text invalid"] == values["text n"] > 0
    (score, *_) = analyze_logs([read_log(log.location)], bootstrap=FEW).scores
    assert score.score.accuracy.value is None
    assert score.score.n_invalid == score.score.n_trials


def test_errors_are_failures_and_missing_samples_are_counted(folder: Path, tmp_path: Path) -> None:
    from audioprobe.exchange.inspect_task import concept_task

    def fail_on_audio(messages: Any) -> str:
        if len(messages[0].content) > 1:
            raise ValueError("no audio input")
        return "Yes."

    log = run(concept_task(folder), mock(fail_on_audio), tmp_path, fail_on_error=False)
    scored = read_log(log.location)
    failed = [t for t in scored.trials if t.failure]
    assert {t.failure for t in failed} == {"ValueError('no audio input')"}
    assert all(t.question.audio for t in failed)
    assert len(failed) == sum(bool(t.question.audio) for t in scored.trials)


def test_inspect_eval_runs_the_generated_file(folder: Path, tmp_path: Path) -> None:
    log = run(folder / "task.py", mock(lambda _: "Yes."), tmp_path, limit=6)
    assert len(log.samples) == 6
    assert log.eval.task == "concept_probe"
    assert read_log(log.location).n_missing == 0


def test_several_epochs_of_a_probe_are_refused(folder: Path, tmp_path: Path) -> None:
    log = run(folder / "task.py", mock(lambda _: "Yes."), tmp_path, limit=2, epochs=2)
    with pytest.raises(InvalidInputError, match="--epochs 1"):
        read_log(log.location)


def other_task(scorer: Any = None) -> Any:
    """A task that is not of this library: multiple choice without audio."""
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import choice
    from inspect_ai.solver import multiple_choice

    samples = [
        Sample(id=f"q{n}", input=f"Which is {n}?", choices=["a crow", "rain"], target="AB"[n % 2])
        for n in range(6)
    ]
    return inspect_ai.Task(
        dataset=MemoryDataset(samples), solver=multiple_choice(), scorer=scorer or choice()
    )


def test_scores_of_other_tasks_are_kept(tmp_path: Path) -> None:
    answers = iter(["ANSWER: A", "ANSWER: A", "I do not know", "", "ANSWER: A", "ANSWER: B"])
    log = run(other_task(), mock(lambda _: next(answers)), tmp_path, max_connections=1)
    scored = read_log(log.location)
    by_item = {t.question.pair.target: t for t in scored.trials}
    correct = [by_item[f"q{n}"].is_correct("free-text") for n in range(6)]
    assert correct == [True, False, None, None, True, True]
    assert {t.question.condition for t in scored.trials} == {"text"}
    parsed = read_log(log.location, parse=True).trials
    assert {t.question.options for t in parsed} == {("a crow", "rain")}


def test_epochs_of_other_tasks_are_repetitions(tmp_path: Path) -> None:
    log = run(other_task(), mock(lambda _: "ANSWER: A"), tmp_path, epochs=3)
    (score,) = analyze_logs([read_log(log.location)], bootstrap=FEW).scores
    assert score.score.n_trials == 18
    assert score.score.accuracy.n_groups == 6
    assert score.repeated is not None
    assert (score.repeated.agreement.value, score.repeated.n) == (1.0, 6)


def test_scores_between_0_and_1_are_refused(tmp_path: Path) -> None:
    from inspect_ai.scorer import f1

    log = run(other_task(f1()), mock(lambda _: "A thing"), tmp_path)
    log.samples[0].scores["f1"].value = 0.5
    with pytest.raises(InvalidInputError, match=r"0\.5"):
        read_log(_written(log, tmp_path))
    with pytest.raises(InvalidInputError, match=r"\(f1\), received 'choice'"):
        read_log(log.location, metric="choice")


def _written(log: Any, folder: Path) -> Path:
    from inspect_ai.log import write_eval_log

    write_eval_log(log, str(folder / "changed.json"))
    return folder / "changed.json"


@pytest.mark.parametrize("n_bytes", [0, 10, 2000])
def test_truncated_logs_are_refused(folder: Path, tmp_path: Path, n_bytes: int) -> None:
    log = run(folder / "task.py", mock(lambda _: "Yes."), tmp_path, limit=2)
    path = tmp_path / "half.eval"
    path.write_bytes(Path(log.location).read_bytes()[:n_bytes])
    with pytest.raises(InvalidInputError, match=r"half\.eval: expected a log of inspect_ai"):
        read_log(path)
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"version": 2, "eval": {}}), "utf-8")
    with pytest.raises(InvalidInputError, match="expected a log of inspect_ai"):
        read_log(other)


def test_log_without_samples_is_refused(folder: Path, tmp_path: Path) -> None:
    task = folder / "task.py"
    log = run(task, mock(lambda _: "Yes."), tmp_path, limit=2, log_samples=False)
    with pytest.raises(InvalidInputError, match="with samples"):
        read_log(log.location)


def test_models_of_audioprobe_answer_tasks(folder: Path, tmp_path: Path) -> None:
    import audioprobe.exchange.inspect_model  # noqa: F401 - registers the provider

    log = run(folder / "task.py", "audioprobe/scripted:No", tmp_path, limit=20)
    assert {s.output.completion for s in log.samples} == {"No"}
    assert log.eval.model == "audioprobe/scripted:No"


def test_prompts_of_messages_have_text_and_the_samples_of_the_sound(folder: Path) -> None:
    from inspect_ai.model import (
        ChatMessageSystem,
        ChatMessageUser,
        ContentAudio,
        ContentImage,
        ContentText,
    )

    from audioprobe.exchange.inspect_model import prompt_of
    from audioprobe.exchange.inspect_task import concept_task

    samples = [s for s in concept_task(folder).dataset if len(s.input[0].content) > 1]
    prompt = prompt_of(samples[0].input)
    key = samples[0].metadata["audioprobe"]["audio"]
    assert prompt.text == samples[0].metadata["audioprobe"]["text"]
    assert prompt.audio is not None
    assert prompt.audio.digest() == probe().sounds[key]().digest()
    assert prompt_of([ChatMessageUser(content="Hello")]).text == Prompt("Hello").text
    audio = ContentAudio(audio="x.wav", format="wav")
    for messages in (
        [ChatMessageSystem(content="x"), ChatMessageUser(content="y")],
        [ChatMessageUser(content=[audio, audio])],
        [ChatMessageUser(content=[ContentText(text="x"), ContentImage(image="x.png")])],
    ):
        with pytest.raises(UnsupportedInputError):
            prompt_of(messages)


def test_folder_can_be_moved(folder: Path, tmp_path: Path) -> None:
    from audioprobe.exchange.inspect_task import concept_task

    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    for sample in concept_task(moved).dataset:
        for content in sample.input[0].content:
            if content.type == "audio":
                assert Path(content.audio).is_file()
                assert Path(content.audio).is_relative_to(moved)

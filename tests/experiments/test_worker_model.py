"""A model in workers answers as the same model in this process, in order, and once per prompt."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.finetuning.tiny_study import model as tiny_ltu

from audioprobe import Decoding, Prompt
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.experiments.components import ComponentSpec
from audioprobe.experiments.job_pool import Item, Result, SerialPool, run_jobs
from audioprobe.experiments.placement import HERE, Placement
from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.experiments.probing.run import ProbeCell, ProbeRun
from audioprobe.experiments.worker_model import (
    LIKELIHOODS_PER_BLOCK,
    RESPONSES_PER_BLOCK,
    LoadedModels,
    WorkerLikelihoodModel,
    WorkerModel,
    worker_model,
)
from audioprobe.inference import infer_each
from audioprobe.io.config import parse_config
from audioprobe.models.scripted import Scripted
from audioprobe.types import LogLikelihood, Response

SCRIPTED = ComponentSpec("scripted")


class ThreadPool:
    """Three workers in threads of this process, each with the same models."""

    n_workers = 3

    def __init__(self, models: LoadedModels) -> None:
        self._executor = ThreadPoolExecutor(self.n_workers)
        self._models = models

    def submit(self, job: Callable[[Any, Item], Result], item: Item) -> "Future[Result]":
        return self._executor.submit(job, self._models, item)


class OneModel(LoadedModels):
    """Context of jobs with a model that was loaded before."""

    def __init__(self, model: Scripted) -> None:
        super().__init__()
        self.model = model

    def get(self, spec: ComponentSpec) -> Scripted:
        assert spec == SCRIPTED
        return self.model


def echo(prompt: Prompt) -> Response:
    if "bad" in prompt.text:
        raise InvalidInputError(f"refused: {prompt.text}")
    return Response(f"answer to {prompt.text}")


def length(prompt: Prompt, continuation: str) -> LogLikelihood:
    return LogLikelihood(-float(len(prompt.text + continuation)), 1)


def in_threads(**options: Any) -> tuple[Scripted, WorkerModel]:
    model = Scripted(echo, likelihood=length, **options)
    return model, worker_model(ThreadPool(OneModel(model)), SCRIPTED)


def test_answers_are_those_of_the_model_in_order() -> None:
    model, remote = in_threads()
    prompts = [Prompt(f"question {n}") for n in range(7 * RESPONSES_PER_BLOCK + 3)]
    assert remote.info == model.info
    assert [r.text for r in remote.generate(prompts)] == [f"answer to {p.text}" for p in prompts]
    assert model.n_asked == len(prompts)
    assert isinstance(remote, WorkerLikelihoodModel)
    many = prompts + [Prompt(f"more {n}") for n in range(2 * LIKELIHOODS_PER_BLOCK)]
    expected = list(model.log_likelihood(many, ["yes", "no"]))
    assert list(remote.log_likelihood(many, ["yes", "no"])) == expected
    assert list(remote.generate([])) == []


def test_prompts_are_read_lazily() -> None:
    model, remote = in_threads()
    read: list[int] = []

    def prompts() -> Iterator[Prompt]:
        for n in range(1000):
            read.append(n)
            yield Prompt(f"question {n}")

    stream = remote.generate(prompts(), Decoding())
    for _ in range(3):
        next(stream)
    assert len(read) <= 2 * ThreadPool.n_workers * RESPONSES_PER_BLOCK
    stream.close()  # type: ignore[attr-defined]
    assert model.n_asked <= len(read)


def test_failed_prompts_are_isolated_and_no_prompt_is_computed_twice() -> None:
    model, remote = in_threads()
    texts = [f"bad {n}" if n % 20 == 7 else f"question {n}" for n in range(150)]
    prompts = [(n, Prompt(text)) for n, text in enumerate(texts)]
    results = dict(infer_each(remote.generate, prompts))
    for n, text in enumerate(texts):
        answer = results[n]
        if "bad" in text:
            assert isinstance(answer, InvalidInputError)
            assert str(answer) == f"refused: {text}"
        else:
            assert isinstance(answer, Response)
            assert answer.text == f"answer to {text}"
    alone = Scripted(echo, likelihood=length)
    assert list(results) == [n for n, _ in infer_each(alone.generate, prompts)]
    # Within a block, the model is asked again for the prompts around a failed one, as without
    # workers; the blocks behind it are not computed again.
    assert model.n_asked <= alone.n_asked + 150


def test_an_error_of_all_prompts_is_raised() -> None:
    with pytest.raises(WeightsError):
        worker_model(SerialPool(LoadedModels()), ComponentSpec("ltu:no-such-model"))


def test_a_serial_pool_runs_jobs_when_their_result_is_needed() -> None:
    started: list[int] = []

    def job(context: list[int], item: int) -> int:
        context.append(item)
        if item == 2:
            raise InvalidInputError("two")
        return 10 * item

    results = run_jobs(SerialPool(started), job, range(5))
    assert next(results) == 0
    assert started == [0]
    assert next(results) == 10
    with pytest.raises(InvalidInputError, match="two"):
        next(results)
    failures: list[Exception] = []
    assert list(run_jobs(SerialPool([]), job, range(5), failures)) == [0, 10, 30, 40]  # type: ignore[arg-type]
    assert list(map(str, failures)) == ["two"]


def probe_config(folder: Path) -> ProbeRun:
    """Return a probe of a tiny LTU that answers freely and has likelihoods, with a judge."""
    path, base = tiny_ltu(folder)
    ltu = {"name": f"ltu:{path}", "options": {"base": str(base)}}
    dataset = {
        "name": "synthetic",
        "options": {"n_clips": 4, "max_sources": 1, "palette": ["crow", "bell"]},
    }
    tables = {
        "kind": "probe",
        "bootstrap": {"n_resamples": 20},
        "models": [{"name": "tiny", "model": ltu, "prompting": {"max_new_tokens": 4}}],
        "judge": {"name": "scripted:Yes."},
        "evaluation_sets": [{"name": "scenes", "dataset": dataset, "split": "test"}],
    }
    return ProbeRun(parse_config(ProbeConfig, tables, "probe"), "kind = 'probe'")


def contents(cells: list[ProbeCell]) -> list[dict[str, Any]]:
    """Return the results without their time."""
    outcomes = [json.loads(cell.outcome.to_json()) for cell in cells]
    for content in outcomes:
        del content["provenance"]["created"]
    return outcomes


def compare_places(folder: Path, placement: Placement) -> None:
    prepared = probe_config(folder)
    here = prepared(folder / "here", placement=HERE)
    elsewhere = prepared(folder / "elsewhere", placement=placement)
    assert contents(elsewhere) == contents(here)
    assert any(trial.log_likelihoods for trial in here[0].outcome.trials)
    logs = [(folder / name / "responses.jsonl").read_bytes() for name in ("here", "elsewhere")]
    assert logs[0] == logs[1]


@pytest.mark.slow  # starts processes that load a model
def test_a_probe_in_two_processes_equals_that_in_one(tmp_path: Path) -> None:
    compare_places(tmp_path, Placement(2))


@pytest.mark.slow  # starts a cluster
def test_a_probe_on_a_cluster_equals_that_in_one_process(tmp_path: Path) -> None:
    compare_places(tmp_path, Placement(2, "ray"))

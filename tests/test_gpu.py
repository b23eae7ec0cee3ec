"""What a GPU must not change: answers, what is learned, and where a killed training ends.

These tests need one; `make test` runs them wherever there is one.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from audioprobe import LTU, Decoding, Prompt, Waveform
from audioprobe.experiments.finetuning.run import FinetuningRun
from audioprobe.experiments.finetuning.storage import RunResult, read_record
from audioprobe.finetuning.data import TrainingSampler
from audioprobe.finetuning.trainer import finetune
from audioprobe.models.encoders.ast import AST
from audioprobe.models.encoders.clap import CLAP
from tests.experiments.finetuning.tiny_study import study
from tests.finetuning.test_formats import check_small_updates
from tests.finetuning.test_trainer import KINDS, KilledError, component, killed_at
from tests.processes import CLI, run_python
from tests.tiny_ast import save_tiny_ast
from tests.tiny_clap import save_tiny_clap
from tests.tiny_ltu import write_base, write_checkpoint
from tests.tiny_tuning import strategy, tiny_data, tiny_model, validation_texts

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True, scope="module")
def on_the_gpu() -> Iterator[None]:
    """Accelerate, which takes the CPU in all other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ACCELERATE_USE_CPU", raising=False)
        AcceleratorState._reset_state(reset_partial_state=True)
        yield
        AcceleratorState._reset_state(reset_partial_state=True)


SOUNDS = [
    Waveform(np.random.default_rng(seed).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    for seed in range(3)
]
PROMPTS = [Prompt(f"What is heard, {n}?", sound) for n, sound in enumerate([*SOUNDS, None])]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> TrainingSampler:
    return tiny_data(tmp_path_factory.mktemp("sounds"))


def test_compiled_generation_gives_the_responses_of_eager_steps(base: Path, tmp_path: Path) -> None:
    trained = write_checkpoint(tmp_path / "trained.bin")
    eager, compiled = (
        LTU.from_pretrained(trained, base=base, device="cuda", compiled=compiled)
        for compiled in (False, True)
    )
    decoding = Decoding(max_new_tokens=12)
    expected = [answer.text for answer in eager.generate(PROMPTS, decoding)]
    assert [answer.text for answer in compiled.generate(PROMPTS, decoding)] == expected
    assert compiled.info.options["compiled"] is True


@pytest.fixture(scope="module")
def ltu(base: Path) -> Callable[..., LTU]:
    checkpoint = write_checkpoint(base.parent / "trained.bin")

    def load(device: str, **options: Any) -> LTU:
        return LTU.from_pretrained(checkpoint, base=base, device=device, **options)

    return load


def test_answers_and_likelihoods_are_those_of_a_cpu(ltu: Callable[..., LTU]) -> None:
    texts, likely = [], []
    for device in ("cpu", "cuda"):
        model = ltu(device, batch_size=4)
        texts.append([r.text for r in model.generate(PROMPTS, Decoding(max_new_tokens=12))])
        likely.append(
            [[x.total for x in row] for row in model.log_likelihood(PROMPTS, ["a", "bc"])]
        )
    assert texts[0] == texts[1]
    np.testing.assert_allclose(likely[1], likely[0], rtol=1e-4, atol=1e-4)


def test_company_changes_no_answer(ltu: Callable[..., LTU]) -> None:
    answers = [
        [r.text for r in ltu("cuda", batch_size=size).generate(PROMPTS, Decoding(max_new_tokens=9))]
        for size in (1, 4)
    ]
    assert answers[0] == answers[1]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("device_map", ["auto", {"": 0, "model.layers.1": 1, "lm_head": "cpu"}])
def test_layers_on_two_gpus_change_no_answer(ltu: Callable[..., LTU], device_map: Any) -> None:
    texts, likely = [], []
    for model in (ltu("cuda"), ltu("auto", device_map=device_map)):
        texts.append([r.text for r in model.generate(PROMPTS, Decoding(max_new_tokens=12))])
        likely.append(
            [[x.total for x in row] for row in model.log_likelihood(PROMPTS, ["a", "bc"])]
        )
    if device_map != "auto":  # which may find that the tiny model fits on one
        assert len({p.device for p in model._net.parameters()} - {torch.device("meta")}) == 2
    assert texts[0] == texts[1]
    np.testing.assert_allclose(likely[1], likely[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["8bit", "4bit"])
def test_few_bits_are_near_to_many(ltu: Callable[..., LTU], kind: str) -> None:
    pytest.importorskip("bitsandbytes")
    whole, few = (
        [[x.total for x in row] for row in model.log_likelihood(PROMPTS, ["a", "bc"])]
        for model in (ltu("cuda"), ltu("cuda", quantization=kind))
    )
    assert np.isfinite(few).all()
    assert np.abs(np.subtract(few, whole)).mean() < {"8bit": 0.1, "4bit": 1.0}[kind]


def test_a_batch_that_does_not_fit_is_halved(ltu: Callable[..., LTU]) -> None:
    prompts = [Prompt(f"{n} " + "what is heard here? " * 40) for n in range(256)]
    brief = Decoding(max_new_tokens=2)
    model = ltu("cuda", batch_size=256)
    expected = [r.text for r in ltu("cuda", batch_size=8).generate(prompts, brief)]
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 80 * 2**20) / total)
    try:
        with pytest.warns(UserWarning, match="does not fit"):
            assert [r.text for r in model.generate(prompts, brief)] == expected
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_encoders_hear_what_they_hear_on_a_cpu(tmp_path: Path) -> None:
    save_tiny_ast(tmp_path / "ast")
    save_tiny_clap(tmp_path / "clap")
    kinds: list[Any] = [lambda d: AST(str(tmp_path / "ast"), device=d)]
    kinds += [lambda d: CLAP(str(tmp_path / "clap"), device=d)]
    for kind in kinds:
        on_cpu, on_gpu = kind("cpu"), kind("cuda")
        np.testing.assert_allclose(
            np.stack(list(on_gpu.encode(SOUNDS))), np.stack(list(on_cpu.encode(SOUNDS))), atol=1e-4
        )


@pytest.mark.parametrize("trains", ["projector", "encoder", "all+llm", "projector+last-1-layers"])
def test_a_model_in_few_bits_is_tuned_in_small_steps(
    base: Path, lessons: TrainingSampler, tmp_path: Path, trains: str
) -> None:
    check_small_updates(base, lessons, tmp_path, trains)


def tuned(base: Path, lessons: TrainingSampler, folder: Path, chosen: Any) -> dict[str, Tensor]:
    """What trained, as it ends, on the CPU."""
    model = tiny_model(base, dropout=0.0)
    result = finetune(model, lessons, chosen, folder, validation_texts=validation_texts())
    network = model.network
    assert network.llama.device.type == "cuda"
    return {
        k: p.detach().cpu() for k, p in network.named_parameters() if k in result.initial_weights
    }


@pytest.mark.parametrize("kind", [*KINDS, "early-stopping", "wise-ft"])
def test_every_kind_trains_and_twice_the_same(
    base: Path, lessons: TrainingSampler, tmp_path: Path, kind: str
) -> None:
    options = {"early-stopping": {"rise": 9.0}}.get(kind, {})
    chosen = strategy("all+llm", component(kind, **options))
    first, second = (tuned(base, lessons, tmp_path / str(n), chosen) for n in range(2))
    assert all(tensor.isfinite().all() for tensor in first.values())
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_killed_anywhere_it_reaches_the_same_weights(
    base: Path, lessons: TrainingSampler, tmp_path: Path
) -> None:
    parts = [
        component(kind) for kind in ("ewc", "rehearsal", "distillation", "contrastive", "paired")
    ]
    chosen = strategy("all", *parts, component("cross-attention"), save_every=2)
    whole = tuned(base, lessons, tmp_path / "whole", chosen)
    for kill in (1, 3):
        folder = tmp_path / str(kill)
        with pytest.raises(KilledError):
            finetune(
                tiny_model(base, dropout=0.0), lessons, chosen, folder, progress=killed_at(kill)
            )
        again = tuned(base, lessons, folder, chosen)
        assert [name for name in whole if not torch.equal(whole[name], again[name])] == []


def test_a_study_finds_what_it_finds_on_a_cpu(tmp_path: Path) -> None:
    """Rounding aside: everything before, and the first loss of each training."""
    config, text = study(tmp_path / "study")
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    on_gpu = FinetuningRun(config, text)(tmp_path / "gpu")
    assert [result.failure for result in on_gpu if result.failure] == []
    done = run_python(
        CLI,
        *("run", str(tmp_path / "study.toml"), "--out", str(tmp_path / "cpu")),
        ACCELERATE_USE_CPU="true",
    )
    assert done.returncode == 0, done.stderr
    record = read_record(tmp_path / "cpu")
    on_cpu = {result.name: result for result in (record.before, *record.runs)}
    assert on_cpu.keys() == {result.name for result in on_gpu}

    def values(result: RunResult, *measures: str) -> dict[tuple[str, str], Any]:
        return {(m.measure, m.item): m.value for m in result.measurements if m.measure in measures}

    before, expected = on_gpu[0], on_cpu["before"]
    assert values(before, "text loss") == pytest.approx(values(expected, "text loss"), abs=1e-2)
    accuracies = ("text accuracy", "audio accuracy")
    assert values(before, *accuracies) == pytest.approx(values(expected, *accuracies), abs=1e-3)
    first = ("training loss", "1")
    for result in on_gpu[1:]:
        loss, expected_loss = (
            values(run, "training loss")[first] for run in (result, on_cpu[result.name])
        )
        assert loss == pytest.approx(expected_loss, rel=1e-3)

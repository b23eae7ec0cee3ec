"""Tuned lens: recovery of known rotations, frozen model, held-out concepts, files."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.golden_ltu import character_tokenizer, new_net
from tests.rotation_model import VOCABULARY, WIDTH, RotationModel, audio

from audioprobe.errors import InvalidInputError, TrainingError, WeightsError
from audioprobe.interpretability.lens_training import LensFit, LensTraining, train_tuned_lens
from audioprobe.interpretability.logit_lens import logit_lens
from audioprobe.interpretability.tuned_lens import TunedLens
from audioprobe.models.ltu.model import LTU
from audioprobe.sites import InspectedPrompt
from audioprobe.types import ComponentInfo, Prompt, Waveform

N_PROMPTS = 24
CONCEPTS = [f"concept {n % 12}" for n in range(N_PROMPTS)]
THOROUGH = LensTraining(learning_rate=0.02, n_epochs=60, patience=60, max_positions=40)


def random_prompts(n_positions: int = 40, seed: int = 0) -> list[InspectedPrompt]:
    rng = np.random.default_rng(seed)
    return [
        InspectedPrompt(Prompt("the sound", audio(rng.normal(size=(n_positions, WIDTH)))))
        for _ in range(N_PROMPTS)
    ]


@cache
def fit() -> LensFit:
    return train_tuned_lens(
        RotationModel(), random_prompts(), CONCEPTS, spans=["audio"], training=THOROUGH
    )


def test_a_lens_learns_the_rotations_of_later_layers() -> None:
    model, result = RotationModel(), fit()
    divergence = result.divergence
    assert divergence.values.shape == (4, 2)  # prompts of 2 of 12 concepts; 2 of 3 layers
    assert len(set(divergence.concepts)) == 2
    assert (divergence.controls["logit lens"].mean(axis=0) > 0.1).all()
    assert (divergence.values < 0.001).all()
    for layer in (0, 1):
        rest = torch.eye(WIDTH)
        for rotation in model.rotations[layer + 1 :]:
            rest = rotation @ rest
        matrix = torch.eye(WIDTH) + result.lens.matrices[f"lm.resid.{layer}"]
        scale = matrix.norm() / rest.norm()  # the norm removes the scale
        torch.testing.assert_close(matrix, scale * rest, atol=0.1, rtol=0)


def test_a_tuned_lens_reads_words_where_the_logit_lens_does_not() -> None:
    model, words = RotationModel(), VOCABULARY[:8]
    total = torch.linalg.multi_dot(tuple(model.rotations.flip(0)))
    rows = model.unembedding @ total  # is rotated to the rows of the unembedding
    prompts = [InspectedPrompt(Prompt("the", audio(row[None]))) for row in rows[:8]]
    rates = [
        logit_lens(
            model, prompts, words, words=words, targets=words, spans=["audio"], lens=lens,
            random_weights=False,
        ).curve("first").values.mean(axis=0)
        for lens in (None, fit().lens)
    ]  # fmt: skip
    assert (rates[0][:2] < 0.5).all()
    assert (rates[1] == 1).all()


def test_training_is_repeatable_and_depends_on_neither_batch_size_nor_other_sites() -> None:
    short = LensTraining(n_epochs=2, learning_rate=0.01)
    model, prompts = RotationModel(), random_prompts(6)
    both, single = (
        train_tuned_lens(
            model, prompts, CONCEPTS, spans=["audio"], sites=sites, training=short, batch_size=size
        ).lens
        for sites, size in (("lm.resid.*", 8), ("lm.resid.1", 1))
    )
    assert torch.equal(both.matrices["lm.resid.1"], single.matrices["lm.resid.1"])
    assert torch.equal(both.offsets["lm.resid.1"], single.offsets["lm.resid.1"])
    assert both.sites == ("lm.resid.0", "lm.resid.1")  # the last layer needs none


def test_a_lens_that_does_not_improve_stays_the_logit_lens() -> None:
    model = RotationModel(rotates=False)  # the logit lens is already exact
    result = train_tuned_lens(model, random_prompts(4), CONCEPTS, spans=["audio"])
    assert set(result.n_epochs.values()) == {0}
    assert not any(matrix.any() for matrix in result.lens.matrices.values())
    np.testing.assert_allclose(result.divergence.values, 0, atol=1e-6)


def ltu() -> LTU:
    return LTU(new_net(), character_tokenizer(), ComponentInfo("language_model", "tiny", "1"))


def ltu_prompts() -> list[InspectedPrompt]:
    rng = np.random.default_rng(0)
    return [
        InspectedPrompt(
            Prompt(f"Is it {n}?", Waveform(rng.uniform(-0.3, 0.3, 32_000).astype("f4"), 16_000))
        )
        for n in range(4)
    ]


def test_a_network_does_not_change_and_its_lens_improves() -> None:
    model = ltu()
    for parameter in model._net.parameters():
        parameter.requires_grad_(True)
    before = {name: p.detach().clone() for name, p in model._net.named_parameters()}
    result = train_tuned_lens(
        model,
        ltu_prompts(),
        ["a", "b", "c", "d"],
        spans=["audio", "question"],
        training=LensTraining(n_epochs=12, learning_rate=0.003),
    )
    for name, parameter in model._net.named_parameters():
        assert torch.equal(parameter, before[name]), name
        assert parameter.grad is None, name
    trained, plain = result.divergence.values, result.divergence.controls["logit lens"]
    assert trained.shape == (1, 2)  # one validation prompt; layer 0 of 2, two spans
    assert trained.mean() < plain.mean()
    assert result.failures == {}


def test_a_lens_is_restored_from_its_file(tmp_path: Path) -> None:
    model, lens = RotationModel(), fit().lens
    copy = TunedLens.load(lens.save(tmp_path / "lens.safetensors"), model)
    assert (copy.model, copy.spans, copy.last, copy.sites) == (
        lens.model, lens.spans, lens.last, lens.sites
    )  # fmt: skip
    states = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    for site in lens.sites:
        assert torch.equal(copy.translate(site, states), lens.translate(site, states))
    assert torch.equal(copy.translate(lens.last, states), states)
    with pytest.raises(InvalidInputError, match="another one"):
        TunedLens.load(tmp_path / "lens.safetensors", RotationModel(seed=1))


def test_files_that_contain_no_lens_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(WeightsError):
        TunedLens.load(path, RotationModel())  # does not exist
    path.write_bytes(b"no tensors")
    with pytest.raises(WeightsError):
        TunedLens.load(path, RotationModel())
    save_file({"lm.resid.0.matrix": torch.zeros(WIDTH, WIDTH)}, path)
    with pytest.raises(WeightsError):
        TunedLens.load(path, RotationModel())
    lens = fit().lens
    lens.save(path)
    broken = TunedLens(
        lens.model, lens.spans, lens.last,
        {site: matrix * torch.nan for site, matrix in lens.matrices.items()}, lens.offsets,
    )  # fmt: skip
    broken.save(path)
    with pytest.raises(WeightsError, match="NaN"):
        TunedLens.load(path, RotationModel())


def test_a_lens_is_refused_for_another_model_span_or_site() -> None:
    lens, prompts = fit().lens, random_prompts(2)
    words = list(VOCABULARY[:2])

    def read(model: RotationModel, span: str, sites: str = "lm.resid.*") -> None:
        logit_lens(
            model, prompts, CONCEPTS, words=words, targets=words[:1] * N_PROMPTS, spans=[span],
            sites=sites, lens=lens, random_weights=False,
        )  # fmt: skip

    read(RotationModel(), "audio[0s:1s]")  # part of the audio
    with pytest.raises(InvalidInputError, match="another one"):
        read(RotationModel(seed=1), "audio")
    with pytest.raises(InvalidInputError, match="span"):
        read(RotationModel(), "last")
    with pytest.raises(InvalidInputError, match=r"lm\.embed"):
        read(RotationModel(), "audio", "lm.embed")


@pytest.mark.parametrize("sites", ["lm.norm", "lm.resid.2", ["lm.resid.0", "lm.logits"]])
def test_sites_that_need_no_translator_are_refused(sites: str | list[str]) -> None:
    with pytest.raises(InvalidInputError, match="before the last layer"):
        train_tuned_lens(RotationModel(), random_prompts(2), CONCEPTS, sites=sites)


def test_a_loss_that_is_not_finite_ends_training() -> None:
    diverging = LensTraining(learning_rate=1e37)  # squares exceed float32
    with pytest.raises(TrainingError, match="learning_rate"):
        train_tuned_lens(
            RotationModel(), random_prompts(2), CONCEPTS, spans=["audio"], training=diverging
        )


def test_training_needs_two_concepts_and_sensible_settings() -> None:
    prompts = random_prompts(2)
    with pytest.raises(InvalidInputError, match="two concepts"):
        train_tuned_lens(RotationModel(), prompts, ["a"] * N_PROMPTS)
    with pytest.raises(InvalidInputError, match="two concepts"):
        train_tuned_lens(RotationModel(), prompts, CONCEPTS, spans=["concept"])  # has none
    for settings in ({"n_epochs": 0}, {"validation_share": 1.0}, {"learning_rate": -1.0}):
        with pytest.raises(InvalidInputError):
            LensTraining(**settings)

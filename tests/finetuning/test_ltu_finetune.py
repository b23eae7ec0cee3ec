"""`LTU.finetune`: training on a copy, tracked measures, resumption, saving and loading."""

from pathlib import Path

import pytest
import torch

from audioprobe import LTU, Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.clip_tuning import TEXT_LOSS, VALIDATION_LOSS
from audioprobe.finetuning.components import L2SP, ContrastiveAlignment, Rehearsal
from audioprobe.finetuning.strategy import Strategy
from audioprobe.ltu_finetuning import FineTunedLTU
from audioprobe.models.ltu.saving import save_ltu
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.trainable import TrainableModel
from audioprobe.types import Clip, Prompt
from tests.tiny_tuning import EARLIER, NEW, tiny_checkpoint

STRATEGY = Strategy(
    train="projector+lora",
    arguments=TrainingArguments(steps=4, learning_rate=1e-2, warmup_steps=1),
    regularizers=[L2SP(0.1), Rehearsal(texts=1, clips=1)],
    alignment=[ContrastiveAlignment(0.3)],
    clips_per_step=2,
)


def scenes(sources: tuple[str, ...], n_clips: int) -> list[Clip]:
    data = Synthetic(n_clips=n_clips, max_sources=1, palette=sources, seconds=2.0)
    return list(data.clips("train"))


CLIPS, VALIDATION, REHEARSAL = scenes(NEW, 4), scenes(NEW, 6)[4:], scenes(EARLIER, 2)


@pytest.fixture(scope="module")
def saved(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return save_ltu(tiny_checkpoint(base, dropout=0.0), folder, name="tiny")


def tuned(saved: Path, **options: object) -> FineTunedLTU:
    chosen: dict[str, object] = {
        "validation": VALIDATION,
        "rehearsal": REHEARSAL,
        "track_every": 2,
    } | options
    return LTU.from_pretrained(saved).finetune(CLIPS, STRATEGY, progress=False, **chosen)


def test_losses_and_measures_are_tracked_and_training_helps(saved: Path) -> None:
    def count(model: TrainableModel) -> float:
        return float(len(list(model.network.parameters())))

    result = tuned(saved, measures={"weights": count})
    assert len(result.history) == 4
    for name in (TEXT_LOSS, VALIDATION_LOSS, "weights"):
        assert [step for step, _ in result.history.tracked(name)] == [0, 2, 4]
    first, *_, last = (value for _, value in result.history.tracked(VALIDATION_LOSS))
    assert last < first
    assert result.history.losses == [entry["loss"] for entry in result.history.steps]
    assert "4 steps" in repr(result)


def test_the_original_is_not_changed_and_the_copy_is_another_model(saved: Path) -> None:
    model = LTU.from_pretrained(saved)
    prompt = Prompt("What is this?", audio=CLIPS[0].waveform)
    before = next(iter(model.log_likelihood([prompt], ["a crow"])))
    result = model.finetune(CLIPS, STRATEGY, rehearsal=REHEARSAL, progress=False)
    assert next(iter(model.log_likelihood([prompt], ["a crow"]))) == before
    assert next(iter(result.model.log_likelihood([prompt], ["a crow"]))) != before
    assert result.model.info.revision != model.info.revision


def test_a_folder_resumes_to_the_same_weights_and_history(saved: Path, tmp_path: Path) -> None:
    whole = tuned(saved)
    again = [tuned(saved, folder=tmp_path / "run") for _ in range(2)]
    for result in again:
        assert result.model.info.revision == whole.model.info.revision
        assert result.history.losses == whole.history.losses
        assert result.history.tracked(TEXT_LOSS) == whole.history.tracked(TEXT_LOSS)


@pytest.mark.parametrize("whole", [False, True])
def test_a_saved_model_answers_like_the_tuned_one(
    saved: Path, base: Path, tmp_path: Path, *, whole: bool
) -> None:
    result = tuned(saved)
    folder = result.save_pretrained(tmp_path / "mine", whole=whole)
    loaded = LTU.from_pretrained(folder, base=None if whole else base)
    prompts = [Prompt("What is this?", audio=CLIPS[0].waveform)]
    models = (result.model, loaded)
    (expected,), (actual,) = (list(m.log_likelihood(prompts, ["a crow"])) for m in models)
    tolerance = 1e-4 if whole else 0.05  # adapters are stored in float16
    assert torch.isclose(
        torch.tensor(actual[0].total), torch.tensor(expected[0].total), atol=tolerance
    )


def test_models_that_were_not_loaded_and_clips_without_labels_are_refused(saved: Path) -> None:
    result = tuned(saved)
    with pytest.raises(InvalidInputError):
        result.model.finetune(CLIPS)
    with pytest.raises(InvalidInputError):
        LTU.from_pretrained(saved).finetune([Clip(id="a", waveform=CLIPS[0].waveform)], STRATEGY)

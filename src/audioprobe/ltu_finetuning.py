"""Fine-tuning of an LTU on labelled clips, in one call: `LTU.finetune`."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from audioprobe.audio.sources import Source, clips_of
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.clip_tuning import finetune_on_clips
from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.trainer import Measure
from audioprobe.models.ltu.audio_frontend import load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.saving import save_adapter, save_ltu
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressOption
from audioprobe.progress_bars import shown_progress
from audioprobe.results.training_history import TrainingHistory
from audioprobe.types import Clip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FineTunedLTU:
    """Result of `LTU.finetune`.

    Attributes:
        model: the fine-tuned model.
        history: losses and tracked measures over the steps.
        checkpoint: weights of the fine-tuned model, tokenizer and origin.
        clips: clips that it was fine-tuned on, rehearsal clips included.
    """

    model: LTU
    history: TrainingHistory
    checkpoint: LTUCheckpoint
    clips: Sequence[Clip]

    def __repr__(self) -> str:
        losses = self.history.losses
        return (
            f"FineTunedLTU({self.model!r}, {len(self.clips)} clips, {len(losses)} steps, "
            f"training loss {losses[0]:.3f} -> {losses[-1]:.3f})"
        )

    def save_pretrained(
        self, folder: str | Path, *, name: str | None = None, whole: bool = False
    ) -> Path:
        """Write the model to a folder that `LTU.from_pretrained` loads; return the folder.

        The folder lists the hashes of the training clips.

        Args:
            folder: folder to create.
            name: name of the model; None uses the name of the folder.
            whole: whether to write all weights. Otherwise only audio encoder, projector and LoRA
                are written, in float16; use this if the language model itself was not trained.

        Raises:
            InvalidInputError: if the folder exists.
            AudioReadError: if a training clip cannot be read any more.
        """
        save = save_ltu if whole else save_adapter
        chosen = name or Path(folder).name
        return save(self.checkpoint, folder, name=chosen, training_clips=self.clips)


def finetune_ltu(
    source: tuple[str | Path, str | Path | None],
    sources: Source | Iterable[Source],
    strategy: Strategy | None = None,
    *,
    folder: str | Path | None = None,
    validation: Source | Iterable[Source] = (),
    rehearsal: Source | Iterable[Source] = (),
    track_every: int = 25,
    measures: Mapping[str, Measure] = MappingProxyType({}),
    progress: ProgressOption = True,
) -> FineTunedLTU:
    """Load an LTU, fine-tune it on clips with labels, and return it with the training history.

    The text loss (mean loss per token of 16 shipped passages, in nats) is tracked over the steps,
    because it shows forgetting, and so is the loss of validation clips.

    Args:
        source: name or path of the model, and its base, as for `LTU.from_pretrained`.
        sources: training clips with labels, such as a data set.
        strategy: what is trained, and how; None trains projector and LoRA for 100 steps.
        folder: folder of the run, which continues when it is called again with the same arguments;
            None uses a temporary folder.
        validation: clips with labels for the validation loss; without any, it is not tracked.
        rehearsal: clips of the earlier training data, for `Rehearsal` and `EWC`.
        track_every: number of steps between measurements.
        measures: further functions of the trainable model to track, by name.
        progress: True shows progress, False does not; a function is called after every step.

    Raises:
        InvalidInputError: if a clip has no labels, the model lacks a trainable module, data that
            the strategy needs are missing, or the folder contains another run.
        TrainingError: if a loss is not finite.
        OutOfMemoryError: if there is not enough memory; the message lists how to use less.
    """
    if strategy is not None and not isinstance(strategy, Strategy):
        raise InvalidInputError(f"Expected a Strategy, got {strategy!r}. Pass Strategy(...).")
    training, held_out, earlier = (
        tuple(clips_of(given)) if given != () else () for given in (sources, validation, rehearsal)
    )
    checkpoint = load_ltu(*source)
    with shown_progress(progress) as show:
        history = finetune_on_clips(
            TrainableLTU(checkpoint.net),
            LTUPrompts(checkpoint.tokenizer),
            load_frontend(checkpoint.net.config.audio, whisper=checkpoint.whisper),
            training,
            strategy or Strategy(),
            folder=folder,
            validation=held_out,
            rehearsal=earlier,
            track_every=track_every,
            measures=measures,
            progress=show,
        )
    trained = _with_trained_weights(checkpoint)
    model = LTU(
        trained.net, trained.tokenizer, trained.info({}), training_data=trained.training_data
    )
    return FineTunedLTU(model, history, trained, (*training, *earlier))


def _with_trained_weights(checkpoint: LTUCheckpoint) -> LTUCheckpoint:
    """Return the checkpoint with a revision that identifies its weights after training."""
    content = hashlib.sha256(checkpoint.revision.encode())
    for name, tensor in sorted(checkpoint.net.state_dict().items()):
        content.update(name.encode() + tensor.float().cpu().numpy().tobytes())
    digest = content.hexdigest()
    stem = Path(checkpoint.origin.checkpoint).stem
    origin = replace(checkpoint.origin, checkpoint=f"{stem}-finetuned", sha256=digest)
    return replace(checkpoint, origin=origin, revision=digest[:16])

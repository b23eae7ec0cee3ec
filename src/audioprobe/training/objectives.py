"""What is minimised: losses of batches, as modules, so that one loop trains them all."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.models.ltu.audio_encoder import CavMaeEncoder
from audioprobe.models.ltu.network import IGNORED, LTUNetwork
from audioprobe.training.sequences import PAD, Batch, Rows

SOUND = PAD - 1  # segment of the sound, which is no example


class AnswerLoss(nn.Module):
    """Mean cross-entropy of the targets in a batch, in nats.

    Prompts with and without sound share a batch; each sound is encoded and read once, whatever the
    number of questions about it, and only positions with a target reach the vocabulary.

    Args:
        net: trained.
        per: what counts the same. "token" is LTU's mean, as `next_token_loss` has it: a passage of
            a hundred tokens outweighs ten answers. "example" takes the mean of each example first.
    """

    def __init__(self, net: LTUNetwork, *, per: Literal["token", "example"] = "token") -> None:
        super().__init__()
        self.net = net
        self._per = per

    def forward(self, batch: Batch) -> Tensor:
        """The loss, a scalar."""
        logits, targets = self.logits(batch)
        if self._per == "token":
            return functional.cross_entropy(logits, targets)
        nats = functional.cross_entropy(logits, targets, reduction="none")
        shares = torch.cat([_shares(rows) for rows in batch])
        return (shares * nats).sum() / shares.sum()

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits before the targets, shape (n_targets, n_vocabulary), and the targets."""
        found = [self._hidden(rows) for rows in batch]
        logits = self.net.llama.lm_head(torch.cat([hidden for hidden, _ in found]))
        return logits.float(), torch.cat([ids for _, ids in found])

    def _hidden(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """States before the targets, shape (n_targets, width), and the targets."""
        heard = None if rows.sounds is None else self.net.prefix(rows.sounds)
        n_audio = 0 if heard is None else heard.shape[1]
        outputs = self.net.llama.model(
            inputs_embeds=self.net.embed(rows.ids, heard),
            attention_mask=_visible(rows.segments, n_audio),
            position_ids=_places(rows.positions, n_audio),
        )
        targets = rows.labels[:, 1:]
        wanted = targets != IGNORED
        return outputs.last_hidden_state[:, n_audio:-1][wanted], targets[wanted]


def _shares(rows: Rows) -> Tensor:
    """One over the number of targets of its example, for every target of some rows."""
    wanted = rows.labels[:, 1:] != IGNORED
    row, place = wanted.nonzero(as_tuple=True)
    example = row * (int(rows.segments.max()) + 1) + rows.segments[row, place + 1]
    return 1 / torch.bincount(example)[example]


def _visible(segments: Tensor, n_audio: int) -> Tensor:
    """Who sees whom: what is before it in its own example, and all of the sound."""
    whose = functional.pad(segments, (n_audio, 0), value=SOUND)
    n_tokens = whose.shape[1]
    earlier = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=whose.device).tril()
    ours = (whose[:, :, None] == whose[:, None, :]) | (whose[:, None, :] == SOUND)
    return (earlier & ours)[:, None]


def _places(positions: Tensor, n_audio: int) -> Tensor:
    """Every example stands right behind the sound."""
    audio = torch.arange(n_audio, device=positions.device).expand(len(positions), -1)
    return torch.cat([audio, positions + n_audio], dim=1)


class LabelBatch(NamedTuple):
    """Clips and what is heard in them.

    Attributes:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        labels: in [0, 1], shape (n_clips, n_labels).
        kept: patches that the encoder sees, shape (n_clips, n_kept); None is all.
    """

    spectrograms: Tensor
    labels: Tensor
    kept: Tensor | None = None


LabelKind = Literal["softmax", "sigmoid"]


class LabelLoss(nn.Module):
    """Cross-entropy of labels that an encoder's mean token is to tell, in nats.

    Args:
        encoder: trained with the head.
        n_labels: how many.

    Attributes:
        kind: "softmax" lets labels compete, several sharing the probability; "sigmoid" tells each
            by itself.
    """

    def __init__(self, encoder: CavMaeEncoder, n_labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.kind: LabelKind = "sigmoid"
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.config.width), nn.Linear(encoder.config.width, n_labels)
        )

    def logits(self, spectrograms: Tensor, kept: Tensor | None = None) -> Tensor:
        """Shape (n_clips, n_labels); `kept` as for the encoder."""
        logits: Tensor = self.head(self.encoder(spectrograms, kept).mean(dim=1))
        return logits

    def forward(self, batch: LabelBatch) -> Tensor:
        """The loss, a scalar."""
        logits = self.logits(batch.spectrograms, batch.kept).float()
        if self.kind == "softmax":
            shares = batch.labels / batch.labels.sum(dim=1, keepdim=True).clamp_min(1.0)
            return functional.cross_entropy(logits, shares)
        return functional.binary_cross_entropy_with_logits(logits, batch.labels)

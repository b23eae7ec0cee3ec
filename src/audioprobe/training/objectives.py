"""What is minimised: losses of batches, as modules, so that one loop trains them all."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.nets.cavmae import CavMaeEncoder
from audioprobe.nets.ltu import IGNORED, LtuNet
from audioprobe.training.sequences import Batch


class AnswerLoss(nn.Module):
    """Mean cross-entropy of the targets in a batch, in nats, as `next_token_loss` has it.

    Prompts with and without sound share a batch; each sound is encoded once, whatever the number of
    questions about it, and only positions with a target reach the vocabulary.
    """

    def __init__(self, net: LtuNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> Tensor:
        """The loss, a scalar."""
        heard = None if batch.sounds is None else self.net.prefix(batch.sounds)
        rows, labels = [], []
        for n, length in enumerate(batch.lengths):
            sound = None if heard is None or batch.heard[n] < 0 else heard[batch.heard[n]][None]
            rows.append(self.net.join(batch.ids[n : n + 1, :length], sound)[0])
            unseen = batch.labels.new_full((len(rows[-1]) - length,), IGNORED)
            labels.append(torch.cat([unseen, batch.labels[n, :length]]))
        mask = pad_sequence([label.new_ones(len(label)) for label in labels], True, 0)
        hidden = self.net.llama.model(
            inputs_embeds=pad_sequence(rows, True), attention_mask=mask
        ).last_hidden_state
        targets = pad_sequence(labels, True, IGNORED)[:, 1:]
        wanted = targets != IGNORED
        logits = self.net.llama.lm_head(hidden[:, :-1][wanted])
        return functional.cross_entropy(logits.float(), targets[wanted])


class LabelLoss(nn.Module):
    """Binary cross-entropy of labels that an encoder's mean token is to tell.

    Args:
        encoder: trained with the head.
        n_labels: labels, independent of each other.
    """

    def __init__(self, encoder: CavMaeEncoder, n_labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.config.width), nn.Linear(encoder.config.width, n_labels)
        )

    def logits(self, spectrograms: Tensor) -> Tensor:
        """Shape (n_clips, n_labels)."""
        logits: Tensor = self.head(self.encoder(spectrograms).mean(dim=1))
        return logits

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The loss, a scalar; of spectrograms, and labels in [0, 1], shape (n_clips, n_labels)."""
        spectrograms, labels = batch
        logits = self.logits(spectrograms).float()
        return functional.binary_cross_entropy_with_logits(logits, labels)

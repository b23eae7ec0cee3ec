"""Which projection, features and encoder align best with words, measured on validation packages.

Usage: python scripts/projection_trials.py FOLDER RECORDINGS [TRIAL ...]

Every trial is a training of the alignment (`small_ltu.word_alignment`) with single sources, three
times with different seeds. It takes a few minutes, because the language model is not needed. The
measure is the share of recordings whose audio tokens are most similar to the right name. The folder
keeps the encoder's input. The test packages are not used.
"""

import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.debian import DebianSounds
from audioprobe.io.text_table import Table
from audioprobe.models.encoders.yamnet import YAMNet
from audioprobe.models.ltu.audio_frontend import feature_config, load_frontend
from audioprobe.progress_bars import progress_bars
from audioprobe.small_ltu.building import TRAIN, build_scenes, untrained_model
from audioprobe.small_ltu.evaluation_clips import first_of_each_group
from audioprobe.small_ltu.recipe import read_recipe
from audioprobe.small_ltu.word_alignment import AlignmentBatch, WordAlignment, word_alignment
from audioprobe.training.feature_cache import FeatureCache, epoch_rows

N_SCENES, BATCH, N_TOKENS, SEEDS = 2_000, 128, 6, (0, 1, 2)
STEPS, RATE, NOISE = 300, 3e-4, 0.05  # as in the recipe "mini"
N_LAST = 4  # convolutions that can be trained: the last two separable ones
WIDTH, INNER = 1024, 512  # channels of the last convolution, and of the one before the last four


class Projection(nn.Module):
    """Last blocks of YAMNet and a projection, which turn maps of patches into audio tokens.

    Args:
        blocks: last blocks of YAMNet.
        hidden: width of the tokens.
        two_layers: whether the means of the maps before the last blocks are features as well.
        inner: width of the inner layer of the projection; 0 is a linear projection.
        trained: whether the last blocks are trained.
    """

    def __init__(
        self,
        blocks: nn.Module,
        hidden: int,
        *,
        two_layers: bool = False,
        inner: int = 0,
        trained: bool = False,
    ) -> None:
        super().__init__()
        self.blocks, self._two_layers = blocks.requires_grad_(trained), two_layers
        width = WIDTH + INNER * two_layers
        last = nn.Linear(inner or width, hidden)
        with torch.no_grad():
            last.weight.mul_(0.1)  # as in `train_alignment`
        self.layers = nn.Sequential(nn.Linear(width, inner), nn.GELU(), last) if inner else last
        self.noise = 0.0

    def forward(self, maps: Tensor) -> Tensor:
        """Return tokens, (n_clips, n_tokens, hidden), of maps, (n_clips, n_tokens, 512, 6, 4)."""
        flat = maps.flatten(0, 1).float()
        means = [self.blocks(flat).mean(dim=(2, 3))]
        if self._two_layers:
            means.append(flat.mean(dim=(2, 3)))
        noisy = [mean + torch.randn_like(mean) * mean.std() * self.noise for mean in means]
        features = torch.cat([functional.layer_norm(m, m.shape[-1:]) for m in noisy], dim=1)
        tokens: Tensor = self.layers(features).unflatten(0, maps.shape[:2])
        return tokens


TRIALS: dict[str, dict[str, Any]] = {
    "linear, last layer": {},
    "MLP": {"inner": 1024},
    "linear, last two layers": {"two_layers": True},
    "MLP, last two layers": {"inner": 1024, "two_layers": True},
    "linear, last blocks trained": {"trained": True},
}
"""Arguments of `Projection` by the name of the trial."""


def maps_of(blocks: nn.Module, patches: Callable[[Tensor], Tensor], n_clips: int) -> Tensor:
    """Return the maps before the last blocks in float16, (n_clips, n_tokens, 512, 6, 4)."""
    maps = []
    with torch.inference_mode():
        for rows in torch.split(torch.arange(n_clips), 16):
            chosen = patches(rows)
            found = blocks(chosen.flatten(0, 1)[:, None]).half()
            maps.append(found.unflatten(0, chosen.shape[:2]))
    return torch.cat(maps)


class Data(NamedTuple):
    """Maps of clips with a single source, shape (n_clips, n_tokens, 512, 6, 4), and their labels.

    Attributes:
        maps: maps of the training clips.
        labels: index of the label of each training clip, shape (n_clips,).
        new_maps: maps of the validation recordings.
        new_labels: index of the label of each validation recording.
        names: names of all labels.
    """

    maps: Tensor
    labels: Tensor
    new_maps: Tensor
    new_labels: Tensor
    names: tuple[str, ...]


def read_data(folder: Path, recordings: Path, blocks: nn.Module) -> Data:
    """Return training scenes and validation recordings as outputs of the first blocks."""
    sounds = DebianSounds(recordings)
    config = replace(read_recipe("mini").scenes, n_train=N_SCENES, max_sources=1, bare_share=1.0)
    scenes = build_scenes(config, sounds)
    frontend = load_frontend(feature_config("yamnet", {"hop": 0.48}, trainable=True))
    with progress_bars() as progress:
        cache = FeatureCache(
            scenes.clips(TRAIN),
            scenes.labels,
            folder,
            frontend,
            source={"scenes": str(config)},
            workers=2,
            progress=progress,
        )
    clips = first_of_each_group(sounds.clips("validation"), 10)
    clips = [c for c in clips if c.labels and len(c.labels) == 1 and c.labels[0] in scenes.labels]
    new_patches = torch.cat([frontend(read_waveform(clip)) for clip in clips])
    return Data(
        maps_of(blocks, cache.features, len(cache)),
        cache.labels.int().argmax(dim=1),
        maps_of(blocks, lambda rows: new_patches[rows], len(clips)),
        torch.tensor([scenes.labels.index(clip.labels[0]) for clip in clips if clip.labels]),
        scenes.labels,
    )


def train(objective: WordAlignment, projection: Projection, data: Data, seed: int) -> None:
    """Train a projection; every step uses a few tokens of each clip."""
    parameters = [p for p in projection.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*parameters, objective.log_scale], RATE, weight_decay=0.05)
    projection.noise = NOISE
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20) * (1 - step / STEPS)
        rows = epoch_rows(len(data.maps), BATCH, step, seed)
        tokens = torch.randperm(data.maps.shape[1])[:N_TOKENS]
        loss = objective(AlignmentBatch(data.maps[rows][:, tokens], data.labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    projection.noise = 0.0


def shares(projection: Projection, objective: WordAlignment, data: Data) -> tuple[float, float]:
    """Return how often the right name is the most similar one, and among the first three."""
    with torch.inference_mode():
        tokens = torch.cat([projection(part) for part in torch.split(data.new_maps, 16)])
        ranked = objective.similarities(tokens).argsort(dim=1, descending=True)
    places = (ranked == data.new_labels[:, None]).int().argmax(dim=1)
    return float((places == 0).float().mean()), float((places < 3).float().mean())


def main() -> None:
    """Print one row for each trial that is named as an argument, or for all."""
    folder, recordings, *names = sys.argv[1:]
    blocks: Any = YAMNet().feature_network().eval().blocks
    data = read_data(Path(folder), Path(recordings), blocks[:-N_LAST])
    checkpoint = untrained_model(read_recipe("mini"), feature_config("yamnet", {"hop": 0.48}))
    rows = []
    for name in names or TRIALS:
        found = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            objective = word_alignment(checkpoint, data.names)
            hidden = objective.names.shape[1]
            projection = Projection(deepcopy(blocks[-N_LAST:]), hidden, **TRIALS[name])
            objective.add_module("prefix", projection)
            train(objective, projection, data, seed)
            found.append(shares(projection, objective, data))
        rows.append((name, *(", ".join(f"{100 * pair[k]:.0f}" for pair in found) for k in (0, 1))))
        sys.stderr.write(f"{rows[-1]}\n")
    header = ("projection and features", "right name first, %", "among the first three, %")
    sys.stdout.write(f"{len(data.new_labels)} recordings, seeds {SEEDS}\n")
    sys.stdout.write(Table(header, tuple(rows)).to_markdown() + "\n")


if __name__ == "__main__":
    main()

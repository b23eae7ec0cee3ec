"""YAMNet's spectrogram and network in PyTorch.

Source: `yamnet.py`, `features.py` and `params.py` in research/audioset/yamnet of
https://github.com/tensorflow/models (Apache-2.0). The network is MobileNetV1 (Howard et al., 2017,
arXiv 1704.04861) on patches of a log-mel spectrogram.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.io.tensorflow_checkpoint import Variable

SAMPLE_RATE = 16_000  # Hz
FRAME, FRAME_SHIFT, FFT = 400, 160, 512  # samples: 25 ms, 10 ms, and the next power of two
N_MELS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
LOG_OFFSET = 0.001
N_PATCH_FRAMES = 96  # frames per patch: 0.96 s
PATCH = FRAME + (N_PATCH_FRAMES - 1) * FRAME_SHIFT  # samples per patch: 15,600 or 0.975 s
WIDTH = 1024
N_CLASSES = 521
BATCH_NORM_EPSILON = 1e-4

# Output channels and stride of the 13 separable convolutions that follow the first convolution
_SEPARABLE = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


def log_mel(samples: Tensor) -> Tensor:
    """Return the log-mel spectrogram of audio at 16 kHz, shape (n_frames, 64).

    A frame is 25 ms long, in a periodic Hann window; frames start every 10 ms. The magnitudes of
    the spectrum, not their squares, are summed in each mel band, and 0.001 is added before the
    natural logarithm.
    """
    frames = samples.unfold(0, FRAME, FRAME_SHIFT) * torch.hann_window(FRAME, periodic=True)
    return torch.log(torch.fft.rfft(frames, FFT).abs() @ _mel_matrix() + LOG_OFFSET)


def patches_of(samples: npt.NDArray[np.float32], hop: int) -> Tensor:
    """Return the patches of a spectrogram, shape (n_patches, 96, 64).

    The audio is padded with zeros at its end until the last patch is complete, as in the original.

    Args:
        samples: audio at 16 kHz, shape (n_samples,).
        hop: frames of 10 ms between the starts of two patches.
    """
    excess = max(0, samples.size - PATCH)
    n_hops = -(-excess // (hop * FRAME_SHIFT))
    n_padded = PATCH + n_hops * hop * FRAME_SHIFT - samples.size
    spectrogram = log_mel(functional.pad(torch.tensor(samples), (0, n_padded)))
    return spectrogram.unfold(0, N_PATCH_FRAMES, hop).transpose(1, 2)


@cache
def _mel_matrix() -> Tensor:
    """Return the weights of the mel bands, shape (257, 64), on HTK's mel scale."""

    def mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 1127.0 * np.log1p(hertz / 700.0)

    bins = mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT // 2 + 1))[:, None]
    low, high = mel(np.array([LOW_HZ, HIGH_HZ]))
    edges = np.linspace(low, high, N_MELS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - lower) / (centre - lower), (upper - bins) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0  # the constant part of the signal is in no band
    return torch.from_numpy(weights.astype(np.float32))


class ConvolutionBlock(nn.Module):
    """Convolution, batch normalisation and ReLU.

    Padding is TensorFlow's "SAME": if an odd number of values must be added, the end gets one more.

    Args:
        n_in: number of input channels.
        n_out: number of output channels.
        size: width and height of the kernel.
        stride: stride in time and frequency.
        groups: number of groups; equal to `n_in` in a depthwise convolution.
    """

    def __init__(self, n_in: int, n_out: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, size, stride, groups=groups, bias=False)
        # Without scale, as in the original; `affine` also creates a scale, which stays 1.
        self.normalization: nn.Module = nn.BatchNorm2d(n_out, eps=BATCH_NORM_EPSILON)

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the block; images have the shape (n, channels, time, frequency)."""
        kernel = self.convolution
        size, stride = kernel.kernel_size[0], kernel.stride[0]
        padding: list[int] = []
        for n in (images.shape[3], images.shape[2]):  # the last axis first
            total = max(0, (-(-n // stride) - 1) * stride + size - n)
            padding += [total // 2, total - total // 2]
        both = (padding[2], padding[0])
        if padding != [both[1], both[1], both[0], both[0]]:
            images, both = functional.pad(images, padding), (0, 0)
        maps = functional.conv2d(
            images, kernel.weight, kernel.bias, kernel.stride, both, groups=kernel.groups
        )
        return functional.relu(self.normalization(maps))

    @torch.no_grad()
    def fold(self) -> None:
        """Merge the batch normalisation into the convolution; outputs stay the same."""
        old, norm = self.convolution, self.normalization
        if not isinstance(norm, nn.BatchNorm2d):
            return
        assert norm.running_mean is not None  # noqa: S101 - statistics are always tracked
        assert norm.running_var is not None  # noqa: S101
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        n_in = old.in_channels
        new = nn.Conv2d(
            n_in, old.out_channels, old.kernel_size[0], old.stride[0], groups=old.groups
        )
        new.weight.copy_(old.weight * scale[:, None, None, None])
        assert new.bias is not None  # noqa: S101 - the default
        new.bias.copy_(norm.bias - norm.running_mean * scale)
        self.convolution, self.normalization = new, nn.Identity()


class YAMNetNetwork(nn.Module):
    """YAMNet's network: 27 convolutions, an average over each patch, and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [ConvolutionBlock(1, 32, 3, stride=2)]
        n_in = 32
        for n_out, stride in _SEPARABLE:
            blocks.append(ConvolutionBlock(n_in, n_in, 3, stride, groups=n_in))
            blocks.append(ConvolutionBlock(n_in, n_out, 1))
            n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(WIDTH, N_CLASSES)

    def embed(self, patches: Tensor) -> Tensor:
        """Return the embedding of each patch, shape (n_patches, 1024).

        Args:
            patches: shape (n_patches, 96, 64).
        """
        return embed(self.blocks, patches)

    def forward(self, patches: Tensor) -> Tensor:
        """Return the logits of the classes for each patch, shape (n_patches, 521)."""
        logits: Tensor = self.classifier(self.embed(patches))
        return logits

    def fold(self) -> None:
        """Merge all batch normalisations into the convolutions, which makes inference faster."""
        for block in self.blocks:
            assert isinstance(block, ConvolutionBlock)  # noqa: S101 - see the constructor
            block.fold()


class FeatureNetwork(nn.Module):
    """The part of a YAMNet that computes embeddings, without the classifier.

    Args:
        network: YAMNet, whose parameters are used, not copied.
    """

    def __init__(self, network: YAMNetNetwork) -> None:
        super().__init__()
        self.blocks = network.blocks

    def forward(self, patches: Tensor) -> Tensor:
        """Return embeddings, (n_patches, 1024), of patches, (n_patches, 96, 64)."""
        return embed(self.blocks, patches)


def embed(blocks: nn.Module, patches: Tensor) -> Tensor:
    """Return the mean of the last convolution over each patch, shape (n_patches, 1024)."""
    maps: Tensor = blocks(patches[:, None])
    return maps.mean(dim=(2, 3))


def state_of(layers: list[dict[str, Variable]]) -> Mapping[str, Tensor]:
    """Return the state dict of a network from the weights of a TensorFlow checkpoint.

    Args:
        layers: one dict of variables per layer, in order: 27 pairs of a convolution and its batch
            normalisation, then the classifier.
    """
    state: dict[str, Tensor] = {}
    for n in range(0, len(layers) - 1, 2):
        name, kernels, norm = f"blocks.{n // 2}", layers[n], layers[n + 1]
        if "depthwise_kernel" in kernels:  # (height, width, channels, 1) -> (channels, 1, h, w)
            kernel = _tensor(kernels["depthwise_kernel"]).permute(2, 3, 0, 1)
        else:  # (height, width, in, out) -> (out, in, height, width)
            kernel = _tensor(kernels["kernel"]).permute(3, 2, 0, 1)
        state[f"{name}.convolution.weight"] = kernel.contiguous()
        bias = _tensor(norm["beta"])
        state[f"{name}.normalization.bias"] = bias
        state[f"{name}.normalization.weight"] = torch.ones_like(bias)
        state[f"{name}.normalization.running_mean"] = _tensor(norm["moving_mean"])
        state[f"{name}.normalization.running_var"] = _tensor(norm["moving_variance"])
        state[f"{name}.normalization.num_batches_tracked"] = torch.tensor(0)
    state["classifier.weight"] = _tensor(layers[-1]["kernel"]).T.contiguous()
    state["classifier.bias"] = _tensor(layers[-1]["bias"])
    return state


def _tensor(array: Variable) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))

"""How near bfloat16 comes to float32, and how much sooner: AST and LTU's encoder at true size.

Weights are random, by a fixed seed, and the sounds are the recordings that ship. The bar is on the
cosine; where a machine has no bfloat16 arithmetic, it is slower there. It is off unless asked for.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from audioprobe import AST, Waveform
from audioprobe.audio.filterbank import LTU as LTU_SPECTROGRAM
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_prefix import AudioPrefix
from side_by_side import finish, ratio

BAR = 0.999
N_SOUNDS = 8
Vectors = Callable[[], np.ndarray]


def sounds() -> list[Waveform]:
    """Some recordings."""
    clips = list(Recordings().clips())[:N_SOUNDS]
    return [read_waveform(clip) for clip in clips]


def ast(folder: Path, waveforms: list[Waveform], dtype: str) -> Vectors:
    """Features of AST, sound by sound."""
    encoder = AST(str(folder), dtype=dtype)
    return lambda: np.stack([features.ravel() for features in encoder.encode(waveforms)])


def ltu(waveforms: list[Waveform], dtype: torch.dtype) -> Vectors:
    """Audio tokens of LTU-7B's sizes, sound by sound."""
    torch.manual_seed(0)
    prefix = AudioPrefix(CavMaeConfig(), 4096).to(dtype).eval()

    @torch.inference_mode()
    def tokens() -> np.ndarray:
        given = torch.stack([LTU_SPECTROGRAM.of(waveform) for waveform in waveforms])
        heard: np.ndarray = prefix(given.to(dtype)).float().flatten(1).numpy()
        return heard

    return tokens


def compare(name: str, whole: Vectors, half: Vectors) -> bool:
    """Print the smallest cosine of a sound, and the ratio of times."""
    one, other = whole(), half()
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    smallest = float(cosines.min())
    print(
        f"{name}: cosine at least {smallest:.5f} (bar {BAR}), {ratio(whole, half, rounds=2):.1f} "
        "times as fast"
    )
    return smallest >= BAR


def main() -> None:
    """Both encoders."""
    waveforms = sounds()
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        ASTForAudioClassification(ASTConfig(num_labels=527)).save_pretrained(folder)
        ASTFeatureExtractor().save_pretrained(folder)
        path = Path(folder)
        reached = compare("AST", ast(path, waveforms, "float32"), ast(path, waveforms, "bfloat16"))
    halves = ltu(waveforms, torch.float32), ltu(waveforms, torch.bfloat16)
    finish(reached, compare("LTU's encoder", *halves))


if __name__ == "__main__":
    main()

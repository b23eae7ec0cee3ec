"""Filter bank against torchaudio's and transformers', 64 clips of 10 s, one thread.

The limit is the Fourier transform of all frames alone.

torchaudio's filter bank is one file of plain torch. Its wheel does not import beside a CPU build of
torch, so that file alone is taken out of the wheel, which pip downloads on the first run.
"""

import argparse
import importlib.util
import subprocess
import sys
import types
import warnings
import zipfile
from pathlib import Path

import torch
from transformers import ASTFeatureExtractor

from audioprobe.audio.filterbank import AST_AUDIOSET, FilterBank
from side_by_side import finish, ratios, report

CACHE = Path(".cache/benchmarks")
VERSION = "2.11.0"
N_CLIPS, SECONDS, RATE = 64, 10, 16_000


def kaldi(wheel: Path | None) -> types.ModuleType:
    """The module `torchaudio.compliance.kaldi`, out of its wheel."""
    file = CACHE / "kaldi.py"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        if wheel is None:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*command, f"torchaudio=={VERSION}", "--dest", CACHE], check=True)
            wheel = next(CACHE.glob("torchaudio-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            file.write_bytes(archive.read("torchaudio/compliance/kaldi.py"))
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    spec = importlib.util.spec_from_file_location("kaldi", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torchaudio-wheel", type=Path, help="instead of a download")
    wheel = parser.parse_args().torchaudio_wheel
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    waves = torch.randn(N_CLIPS, SECONDS * RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    peer, bank, extractor = kaldi(wheel), FilterBank(), ASTFeatureExtractor()
    arrays = [wave.numpy() for wave in waves]

    def by_torchaudio() -> torch.Tensor:
        return torch.stack(
            [
                peer.fbank(
                    wave[None],
                    htk_compat=True,
                    sample_frequency=RATE,
                    use_energy=False,
                    window_type="hanning",
                    num_mel_bins=128,
                    dither=0.0,
                    frame_shift=10,
                )
                for wave in waves
            ]
        )

    def transform() -> None:
        for wave in waves:
            torch.fft.rfft(wave.unfold(0, bank.frame_length, bank.frame_shift), n=bank.fft_length)

    print(f"largest difference to torchaudio: {(by_torchaudio() - bank(waves)).abs().max():.1e}")
    kaldi_ratio, kaldi_limit = ratios(by_torchaudio, lambda: bank(waves), transform)
    ast_ratio, ast_limit = ratios(
        lambda: extractor(arrays, sampling_rate=RATE, return_tensors="pt"),
        lambda: AST_AUDIOSET(waves),
        transform,
        rounds=2,
    )
    finish(
        report("filter bank against torchaudio", kaldi_ratio, 1.6, kaldi_limit),
        report(
            "filter bank and normalisation against ASTFeatureExtractor", ast_ratio, 6, ast_limit
        ),
    )


if __name__ == "__main__":
    main()

"""Load an LTU for inference: weights, number format, devices, and audio frontend."""

from pathlib import Path

from audioprobe.devices import placement
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.ltu.audio_frontend import AudioFrontend, load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.generation import use_static_cache
from audioprobe.models.ltu.network import Quantization
from audioprobe.models.ltu.number_format import check_quantization, set_number_format
from audioprobe.models.ltu.sharding import Sharding
from audioprobe.types import ComponentInfo


def load_for_inference(  # noqa: PLR0917 - the order is that of `LTU.from_pretrained`
    name_or_path: str | Path,
    base: str | Path | None,
    whisper: str | Path | None,
    dtype: str,
    device: str,
    quantization: Quantization | None,
    compiled: bool,
    sharding: Sharding,
) -> tuple[LTUCheckpoint, AudioFrontend, ComponentInfo]:
    """Return an LTU on its devices, its audio frontend, and its provenance.

    The arguments and the errors raised are those of `LTU.from_pretrained`.
    """
    sharding.check(device=device, quantization=quantization, compiled=compiled)
    device, dtype = placement(device, dtype)
    torch_dtype = dtype_of(dtype)
    check_quantization(quantization)
    checkpoint = load_ltu(name_or_path, base)
    net, whisper = checkpoint.net, whisper or checkpoint.whisper
    set_number_format(net, torch_dtype, quantization)
    device = sharding.apply(net, device)
    frontend = load_frontend(net.config.audio, whisper=whisper, dtype=torch_dtype, device=device)
    options = {"dtype": dtype, "quantization": quantization, **frontend.options}
    if compiled:
        use_static_cache(net)
        options |= {"compiled": True}
    return checkpoint, frontend, checkpoint.info(options)

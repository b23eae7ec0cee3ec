"""Checks of models, scorers and data sets; see `audioprobe.testing`."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.protocols import (
    AudioEncoder,
    AudioTokenizer,
    Dataset,
    FrameTagger,
    JointEncoder,
    LanguageModel,
    LikelihoodModel,
    Scorer,
    Tagger,
    TextEmbedder,
)
from audioprobe.testing.rules import (
    TEXTS,
    check_array,
    check_info,
    check_laziness,
    check_refusal,
    check_stream,
    check_vectors,
    close,
    example_sounds,
    require,
    rows_close,
)
from audioprobe.types import FloatArray, LogLikelihood, Prompt, Response, Waveform

_QUESTION = "Write an audio caption describing the sound."
_TEXT_QUESTIONS = ("Is a crow a bird?", "What is rain?", "Name an animal.")


def check_encoder(encoder: AudioEncoder) -> None:
    """Check that an encoder returns one array of shape (n_frames, width) per waveform."""
    check_info(encoder, "encoder")
    arrays = check_stream("encode", encoder.encode, example_sounds(), close)
    for array in arrays:
        check_array(array, "encode", n_dimensions=2)
    require(len({array.shape[1] for array in arrays}) == 1, "encode: all widths are equal")
    check_laziness("encode", encoder.encode, example_sounds()[0])


def check_tagger(tagger: Tagger) -> None:
    """Check that a tagger has unique labels with one phrase each, and probabilities in [0, 1]."""
    check_info(tagger, "encoder")
    _check_probabilities("tag", tagger.tag, tagger, n_dimensions=1)


def check_frame_tagger(tagger: FrameTagger) -> None:
    """Check a tagger, its hop, and its probabilities of shape (n_frames, n_labels)."""
    check_tagger(tagger)
    require(isinstance(tagger.hop, float) and 0 < tagger.hop < math.inf, "hop: a positive float")
    _check_probabilities("tag_frames", tagger.tag_frames, tagger, n_dimensions=2)


def _check_probabilities(
    name: str,
    transform: Callable[[Iterable[Waveform]], Iterator[FloatArray]],
    tagger: Tagger,
    n_dimensions: int,
) -> None:
    """Check labels and phrases of a tagger, and the arrays that its method `name` yields."""
    n_labels = len(tagger.labels)
    require(len(set(tagger.labels)) == n_labels > 0, "labels: at least one, all different")
    require(len(tagger.phrases) == n_labels, "phrases: one per label")
    for array in check_stream(name, transform, example_sounds(), close):
        check_array(array, name, n_dimensions)
        require(array.shape[-1] == n_labels, f"{name}: one probability per label")
        require(bool(((array >= 0) & (array <= 1)).all()), f"{name}: probabilities are in [0, 1]")
    check_laziness(name, transform, example_sounds()[0])


def check_audio_tokenizer(tokenizer: AudioTokenizer) -> None:
    """Check that a tokenizer returns one array of codes in [0, n_codes) per waveform."""
    check_info(tokenizer, "audio_tokenizer")
    n_codes = tokenizer.n_codes
    require(isinstance(n_codes, int) and n_codes > 0, "n_codes: a positive integer")
    for codes in check_stream("tokenize", tokenizer.tokenize, example_sounds(), np.array_equal):
        require(isinstance(codes, np.ndarray), "tokenize: returns numpy arrays")
        require(codes.dtype == np.int64, f"tokenize: int64, got {codes.dtype}")
        require(codes.ndim == 1 and codes.size > 0, "tokenize: shape (n_steps,), not empty")
        is_valid = bool(((codes >= 0) & (codes < n_codes)).all())
        require(is_valid, "tokenize: codes are in [0, n_codes)")
    check_laziness("tokenize", tokenizer.tokenize, example_sounds()[0])


def check_joint_encoder(encoder: JointEncoder) -> None:
    """Check that a joint encoder returns one vector per sound and per text, all of one width."""
    check_info(encoder, "encoder")
    sounds = check_stream("embed_audio", encoder.embed_audio, example_sounds(), close)
    texts = check_vectors("embed_texts", encoder.embed_texts)
    for array in sounds:
        check_array(array, "embed_audio", n_dimensions=1)
        require(array.shape == texts.shape[1:], "embed_audio: the same width as embed_texts")
    check_laziness("embed_audio", encoder.embed_audio, example_sounds()[0])
    scale = encoder.logit_scale
    is_valid = isinstance(scale, float) and 0 < scale < math.inf
    require(is_valid, "logit_scale: a positive, finite float")


def check_language_model(model: LanguageModel, *, with_sound: bool = True) -> None:
    """Check that a model returns one response per prompt, independent of other prompts.

    Args:
        model: a model whose default decoding is greedy.
        with_sound: whether the model accepts audio; if False, it must reject prompts with audio.
    """
    check_info(model, "language_model")
    sounds = example_sounds()
    prompts = [Prompt(f"{_QUESTION} ({n})", sound) for n, sound in enumerate(sounds)]
    if not with_sound:
        check_refusal(
            lambda: list(model.generate(prompts[:1])),
            UnsupportedInputError,
            "generate: a text model refuses audio with UnsupportedInputError",
        )
        prompts = [Prompt(text) for text in _TEXT_QUESTIONS]
    for response in check_stream("generate", model.generate, prompts, operator.eq):
        require(isinstance(response, Response), "generate: yields Response")
        require(response.finish in ("stop", "length"), 'finish: is "stop" or "length"')
    check_laziness("generate", model.generate, prompts[0])


def check_likelihood_model(model: LikelihoodModel, *, with_sound: bool = True) -> None:
    """Check a language model and its log-likelihoods, which must not depend on other prompts.

    Args:
        model: a model whose default decoding is greedy.
        with_sound: whether the model accepts audio; if False, it must reject prompts with audio.
    """
    check_language_model(model, with_sound=with_sound)
    sound = example_sounds()[0] if with_sound else None
    prompts = [Prompt(_QUESTION, sound), Prompt("What makes this sound?", sound)]
    continuations = [" a crow", " rain on a roof", " a dog"]

    def ask(items: Iterable[Prompt]) -> Iterator[Sequence[LogLikelihood]]:
        return model.log_likelihood(items, continuations)

    rows = check_stream("log_likelihood", ask, prompts, rows_close)
    for row in rows:
        require(len(row) == len(continuations), "log_likelihood: one per continuation")
        require(
            all(isinstance(value, LogLikelihood) for value in row),
            "log_likelihood: yields LogLikelihood, finite and at most 0 nats",
        )
    reverse = next(iter(model.log_likelihood(prompts[:1], continuations[::-1])))
    require(
        rows_close(rows[0], reverse[::-1]),
        "log_likelihood: the order of continuations does not matter",
    )


def check_embedder(embedder: TextEmbedder) -> None:
    """Check that an embedder returns one finite vector per text, in order."""
    check_info(embedder, "embedder")
    check_vectors("embed", embedder.embed)


def check_scorer(scorer: Scorer) -> None:
    """Check that a scorer returns finite scores that do not depend on other captions."""
    check_info(scorer, "scorer")
    labels = ("crow", "rain", "dog")
    scores = np.asarray(scorer.score(TEXTS, labels))
    check_array(scores, "score", n_dimensions=2)
    require(scores.shape == (len(TEXTS), len(labels)), "score: shape (n_captions, n_labels)")
    alone = np.concatenate([scorer.score([caption], labels) for caption in TEXTS])
    require(close(scores, alone), "score: the same score alone and in a batch")
    reverse = np.asarray(scorer.score(TEXTS, labels[::-1]))[:, ::-1]
    require(close(scores, reverse), "score: follows the order of the labels")
    empty = np.asarray(scorer.score((), labels))
    require(empty.shape == (0, len(labels)), "score: accepts an empty list of captions")
    for refused, rule in (((), "no labels"), (("crow", "crow"), "a repeated label"), (("",), "''")):
        check_refusal(
            partial(scorer.score, TEXTS, refused),
            InvalidInputError,
            f"score: refuses {rule} with InvalidInputError",
        )


def check_dataset(dataset: Dataset) -> None:
    """Check that ids are unique, labels are in `labels`, and each group is in one split only."""
    check_info(dataset, "dataset")
    known = set(dataset.labels)
    require(len(known) == len(dataset.labels) > 0, "labels: at least one, all different")
    split_of: dict[str, str] = {}
    ids: set[str] = set()
    for split in dataset.splits:
        for clip in dataset.clips(split):
            require(clip.id not in ids, f"clips: the id {clip.id!r} is unique")
            require(set(clip.labels or ()) <= known, f"clips: labels of {clip.id!r} are known")
            if clip.group is not None:
                first_split = split_of.setdefault(clip.group, split)
                require(first_split == split, f"clips: group {clip.group!r} is in one split only")
            ids.add(clip.id)
    require(bool(ids), "clips: at least one split has clips")
    check_refusal(
        lambda: dataset.clips("no such split"),
        InvalidInputError,
        "clips: refuses an unknown split with InvalidInputError",
    )

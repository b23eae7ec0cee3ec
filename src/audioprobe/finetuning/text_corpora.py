"""Texts by which forgetting is held, texts by which it is measured, and that neither gives answers.

Perplexity is per token, so it compares networks of one tokenizer only. Its interval tells of other
passages, not of other trainings.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import ratio
from audioprobe.models.ltu.network import IGNORED, LTUNetwork
from audioprobe.models.ltu.prompt import tokenize
from audioprobe.training.sequences import CUTOFF, TrainingExample
from audioprobe.types import Estimate

SHIPPED = Path(__file__).parent / "passages"

Facts: TypeAlias = Sequence[tuple[str, str]]
"""Concepts, each with something that it is or is also called: ("a crow", "a bird")."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?![a-z])|\n\s*\n")


@dataclass(frozen=True, slots=True)
class TextSet:
    """Passages of text.

    Attributes:
        name: "held" or "measured", or the path of the file.
        passages: in the order of the file; line breaks within them are kept.
    """

    name: str
    passages: tuple[str, ...]

    @property
    def revision(self) -> str:
        """What pins the passages: the first 16 hex digits of their SHA-256."""
        return hashlib.sha256(json.dumps(self.passages).encode()).hexdigest()[:16]


def read_texts(name: str | Path) -> TextSet:
    """Passages that ship with the library by their name, or those of a file.

    Args:
        name: "held" (to hold forgetting by), "measured" (to measure it by), or the path of a file
            in UTF-8 with blank lines between passages.

    Raises:
        InvalidInputError: if there is neither, the file is not UTF-8, or it has no passage.
    """
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.txt"))}
    path = shipped.get(str(name), Path(name).expanduser())
    if not path.is_file():
        ships = f"one of {', '.join(shipped)}, which ship.{did_you_mean(str(name), shipped)}"
        raise InvalidInputError(f"{name}: neither a file nor {ships}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: not readable as UTF-8 ({error}).") from error
    passages = tuple(part.strip() for part in re.split(r"\n(?:[ \t]*\n)+", text) if part.strip())
    if not passages:
        raise InvalidInputError(f"{path}: has no passage. Put blank lines between passages.")
    return TextSet(str(name), passages)


def examples_of(
    texts: Sequence[str],
    tokenizer: Any,  # noqa: ANN401 - transformers has no types
    *,
    cutoff: int = CUTOFF,
) -> list[TrainingExample]:
    """Each text as an example without question and sound: every token but the first is a target.

    No end-of-sequence token follows, since a passage is a piece of text and no answer.

    Args:
        texts: passages.
        tokenizer: of the base model.
        cutoff: most tokens, beginning-of-sequence included; the rest of a text is cut.

    Raises:
        InvalidInputError: if fewer than 2 tokens of a text are left: there is nothing to predict.
    """
    found = [tuple(tokenize(tokenizer, text)[: max(cutoff, 0)]) for text in texts]
    for text, ids in zip(texts, found, strict=True):
        if len(ids) < 2:
            raise InvalidInputError(
                f"The text {text!r:.60} has {len(ids)} tokens within {cutoff}, expected at least "
                "2. Leave it out, or raise the cutoff."
            )
    return [TrainingExample(ids, 1, "") for ids in found]


@dataclass(frozen=True, slots=True)
class TextLoss:
    """How badly a passage was foreseen.

    Attributes:
        nats: negative log-likelihood of its targets, summed.
        n_tokens: targets.
    """

    nats: float
    n_tokens: int


def losses_of(
    net: LTUNetwork, examples: Sequence[TrainingExample], *, batch_size: int = 8
) -> tuple[TextLoss, ...]:
    """Loss of each example, in evaluation mode; the network is as before afterwards.

    Args:
        net: on any device.
        examples: of text alone.
        batch_size: examples at a time; it changes results by rounding only.

    Raises:
        InvalidInputError: for a batch size below 1, or an example with a sound.
    """
    if batch_size < 1 or any(example.audio_id for example in examples):
        raise InvalidInputError(
            f"Expected examples without sound and a batch size of at least 1, got {batch_size}."
        )
    batches = [examples[at : at + batch_size] for at in range(0, len(examples), batch_size)]
    training = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.inference_mode():
            return tuple(loss for batch in batches for loss in _losses(net, batch))
    finally:
        for module, flag in training:
            module.training = flag


def perplexity(losses: Sequence[TextLoss], bootstrap: Bootstrap) -> Estimate:
    """Exponential of the mean loss per token; passages are resampled.

    Raises:
        InvalidInputError: if a loss is not finite.
    """
    per_token = ratio([x.nats for x in losses], [x.n_tokens for x in losses])
    return bootstrap.estimate(
        lambda counts: np.exp(per_token(counts)), len(losses), unit="passages"
    )


def perplexity_ratio(
    before: Sequence[TextLoss], after: Sequence[TextLoss], bootstrap: Bootstrap
) -> Estimate:
    """Perplexity after over that before, passages resampled together; above 1 is forgetting.

    Raises:
        InvalidInputError: if passages or numbers of their tokens differ, or a loss is not finite.
    """
    began, ended = ([x.n_tokens for x in losses] for losses in (before, after))
    if began != ended:
        raise InvalidInputError(
            f"Expected the same passages before and after, got {len(began)} of {began!s:.40} "
            f"tokens and {len(ended)} of {ended!s:.40}."
        )
    # The same tokens: the quotient is the exponential of what the loss per token grew by.
    grown = [TextLoss(y.nats - x.nats, x.n_tokens) for x, y in zip(before, after, strict=True)]
    return perplexity(grown, bootstrap)


def refuse_leaks(texts: Sequence[str], questions: Sequence[str], facts: Facts) -> None:
    """Refuse texts that give away what a probe asks.

    A text does if it contains a question, word by word, or if one of its sentences has both names
    of a fact, apart from each other ("a church bell" alone does not say that it is a bell). Case,
    punctuation and articles do not matter, and plurals in s, es or ies count, also of the first
    word ("birds of prey"). Other plurals, pronouns and facts across sentences are not seen.

    Args:
        texts: that train or measure.
        questions: that are asked.
        facts: that answer them.

    Raises:
        InvalidInputError: if a text gives something away, or a question or fact has no words.
    """
    asked = {_line(question): question for question in questions}
    if "" in asked:
        raise InvalidInputError(f"Expected words in a question, got {asked['']!r}.")
    named = {name: _pattern(name) for fact in facts for name in fact}
    facts = list(dict.fromkeys(facts))
    leaks = [(text, what) for text in texts for what in _leaks(text, asked, named, facts)]
    if leaks:
        (text, what), n_texts = leaks[0], len({leaking for leaking, _ in leaks})
        raise InvalidInputError(
            f"The text {text!r:.60} {what}, which the probe asks; there are {len(leaks)} such "
            f"leaks in {n_texts} of {len(texts)} texts. Leave these texts out, or probe other "
            "concepts."
        )


def _losses(net: LTUNetwork, examples: Sequence[TrainingExample]) -> Iterator[TextLoss]:
    device = net.llama.device
    ids = pad_sequence([torch.tensor(x.ids) for x in examples], True).to(device)
    labels = pad_sequence([torch.tensor(x.labels("answer")) for x in examples], True, IGNORED)
    targets = labels[:, 1:].to(device)
    # What fills a row up stands behind its tokens, which do not see it: no mask is needed.
    logits = net(ids)[:, :-1].float().flatten(0, 1)
    nats = functional.cross_entropy(
        logits, targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(targets)
    yield from map(TextLoss, nats.double().sum(1).tolist(), (targets != IGNORED).sum(1).tolist())


def _leaks(
    text: str, asked: dict[str, str], named: dict[str, re.Pattern[str]], facts: Facts
) -> Iterator[str]:
    whole = f" {_line(text)} "
    yield from (f"contains the question {asked[q]!r}" for q in asked if f" {q} " in whole)
    for sentence in _SENTENCE_END.split(text):
        line = _line(sentence)
        places = {name: [m.span() for m in p.finditer(line)] for name, p in named.items()}
        for one, other in facts:
            # Apart: a name inside another one says nothing.
            if any(a[1] < b[0] or b[1] < a[0] for a in places[one] for b in places[other]):
                yield f"says both {one!r} and {other!r} in one sentence"


def _line(text: str) -> str:
    """The words of a text in lower case, with a space between."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))


def _pattern(name: str) -> re.Pattern[str]:
    """A name without its article, its first and last word also in the plural."""
    words = re.sub("^(an?|the) (?=.)", "", _line(name)).split()
    if not words:
        raise InvalidInputError(f"Expected words in a fact, got {name!r}.")
    for at in {0, len(words) - 1}:
        word = words[at]
        words[at] = f"{word[:-1]}(?:ys?|ies)" if word.endswith("y") else f"{word}(?:e?s)?"
    return re.compile(rf"\b{' '.join(words)}\b")

"""The card of an exported data set: README.md with a header in YAML for the Hugging Face Hub."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe import __version__
from audioprobe.io.text_table import Table, markdown

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

DESCRIPTIONS = {
    "audio": "the sound that the question is about; missing if the question has none",
    "audio_failure": "why the sound could not be read; missing otherwise",
    "model": "name of the model",
    "evaluation_set": "name of the evaluation set",
    "prompt_level": "name of the prompt",
    "question": "text of the prompt",
    "options": "possible answers, or all labels that were scored",
    "correct": "index of the correct option, from 0",
    "answer": "the correct option",
    "concept": "id of the concept that the question is about; the cluster of the trials",
    "relation": "what the target is: a class above the concept (hypernym), another name of it "
    "(synonym), or the concept itself (identity)",
    "target": "id of the class or name that the question asks for",
    "holds": "whether the target is true of the concept",
    "level": "steps from the concept up to the class; 0 for other relations",
    "condition": "what represents the concept in the prompt: text, audio, or a control",
    "form": "yes-no, negated or choice",
    "wording": "index of the paraphrase",
    "order": "index of the order of the options",
    "negatives": "how the false pairs were drawn",
    "match": "number of the true pair; its false pair has the same number",
    "clip": "id of the clip of the concept",
    "sound": "id of the clip that is played, or (silence), (noise), (spoken) CONCEPT",
    "group": "site, recorder or source recording of the clip",
    "caption": "caption by the model that is part of the prompt",
    "response": "free-text response of the model",
    "reading": "how the answer was turned into an option",
    "choice": "index of the chosen option; missing if the answer is invalid",
    "log_likelihoods": "log-probability of each option in nats",
    "prior_log_likelihoods": "the same without audio",
    "labels": "reference labels; missing if the clip was not annotated",
    "captions": "captions by the model, one per window",
    "scores": "score of each label in options",
    "failure": "why there is no answer or no score; missing otherwise",
}
"""Meaning of each column, for the card."""


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What the user states about an exported data set.

    Attributes:
        title: title of the data set.
        licence: licence identifier of the Hugging Face Hub, such as "cc-by-4.0"; "unknown" if it
            was not stated.
        description: paragraph on the origin of the recordings, in Markdown.
    """

    title: str = "Questions about sounds"
    licence: str = "unknown"
    description: str = ""


@dataclass(frozen=True, slots=True)
class HuggingFaceExport:
    """What was written as a data set of Hugging Face.

    Attributes:
        folder: the folder of the data set.
        n_rows: number of rows.
        n_sounds: number of rows with audio.
        audio_failures: number of rows whose audio could not be read, keyed by the cause.
    """

    folder: Path
    n_rows: int
    n_sounds: int
    audio_failures: Mapping[str, int]


def card_text(
    card: DatasetCard, export: HuggingFaceExport, columns: Sequence[str], notes: Sequence[str]
) -> str:
    """Return the text of the card.

    Args:
        card: title, licence and description.
        export: what was written.
        columns: names of all columns.
        notes: sentences about the origin of the rows.
    """
    rows = tuple((name, DESCRIPTIONS[name]) for name in columns)
    origin = [*dict.fromkeys(notes), f"Written by audioprobe {__version__}."]
    origin += [f"{n} rows without audio: {why}" for why, n in export.audio_failures.items()]
    parts = [
        _header(card, export.n_rows),
        f"# {markdown(card.title)}",
        card.description.strip(),
        f"{export.n_rows} rows, {export.n_sounds} of them with audio. "
        f"Licence: {markdown(card.licence)}.",
        "## Provenance",
        "\n".join(f"- {markdown(note)}" for note in origin),
        "The audio is stored without loss: it decodes to the samples that the model received "
        "(in a probe, the first 10 s of each clip).",
        "## Columns",
        Table(("column", "content"), rows).to_markdown().rstrip(),
        "## Use",
        "```python\nfrom datasets import load_dataset\n\n"
        'rows = load_dataset("FOLDER", split="test")\n```',
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(card: DatasetCard, n_rows: int) -> str:
    size = next((name for most, name in _SIZES if n_rows < most), "n>1M")
    # JSON texts are also YAML texts: nothing in a title can end its value.
    lines = (
        f"license: {json.dumps(card.licence)}",
        f"pretty_name: {json.dumps(card.title)}",
        'tags: ["audio", "audioprobe", "evaluation"]',
        f"size_categories: [{json.dumps(size)}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: test",
        "    path: data/*.parquet",
    )
    return "\n".join(("---", *lines, "---"))

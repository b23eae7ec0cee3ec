"""Write a folder that `datasets.load_dataset` reads: Parquet files with audio, and a card.

Importing this module requires the extra `data`; the package `datasets` is not needed.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.exchange.dataset_card import DatasetCard, HuggingFaceExport, card_text
from audioprobe.exchange.sounds import SoundEncoder, encode_lossless
from audioprobe.exchange.tables import TYPES, AudioTable
from audioprobe.io.atomic import atomic_write, staged_directory

with needs_extra("data"):
    import pyarrow as pa
    from pyarrow import parquet

README, DATA = "README.md", "data"
_AUDIO, _AUDIO_FAILURE = "audio", "audio_failure"
_ROW_GROUP_BYTES = 64_000_000  # audio of one row group, unless one sound is larger
_MAX_ROWS = 500  # rows of one row group
_MAX_DICTIONARY = 256_000_000  # bytes; equal sounds of a row group are stored once


def write_huggingface(
    tables: Mapping[str, AudioTable], folder: str | Path, card: DatasetCard
) -> HuggingFaceExport:
    """Write tables as a data set of Hugging Face with one split, "test".

    Each table becomes one Parquet file. Its column `audio` is a struct of bytes and path that
    `datasets.Audio` decodes, to the same samples as those that the model received. Rows whose audio
    cannot be read have no audio, and the cause is in the column `audio_failure`. All tables must
    have the same columns; columns that only some of them have are filled with missing values.

    Args:
        tables: at least one table, by a name for its file.
        folder: folder to create.
        card: title, licence and description, for the dataset card.

    Raises:
        InvalidInputError: if the folder exists, or there are no rows.
        MissingDependencyError: if pyarrow is not installed.
    """
    if not any(map(len, tables.values())):
        raise InvalidInputError("Expected rows to export, received none.")
    columns = [name for name in TYPES if any(name in t.columns for t in tables.values())]
    schema = _schema(columns)
    n_sounds, failures = 0, Counter[str]()
    with staged_directory(folder) as staged:
        (staged / DATA).mkdir()
        for number, table in enumerate(tables.values()):
            path = staged / DATA / f"test-{number:05}-of-{len(tables):05}.parquet"
            in_file, causes = _write_table(table, path, schema)
            n_sounds += in_file
            failures.update(causes)
        export = HuggingFaceExport(
            Path(folder), sum(map(len, tables.values())), n_sounds, dict(failures)
        )
        notes = [note for table in tables.values() for note in table.notes]
        atomic_write(staged / README, card_text(card, export, schema.names, notes))
    return export


def _write_table(table: AudioTable, path: Path, schema: pa.Schema) -> tuple[int, Counter[str]]:
    """Write one Parquet file; return the number of sounds, and of failures by cause."""
    encoder = SoundEncoder(table.sounds, encode_lossless, table.names)
    n_sounds, failures = 0, Counter[str]()
    with parquet.ParquetWriter(
        path, schema, compression="zstd", dictionary_pagesize_limit=_MAX_DICTIONARY
    ) as writer:
        for start, sounds in _row_groups(table.keys, encoder):
            causes = [
                encoder.failures[key] if key and sound is None else None
                for key, sound in zip(table.keys[start:], sounds, strict=False)
            ]
            failures.update(cause for cause in causes if cause)
            n_sounds += sum(sound is not None for sound in sounds)
            values: dict[str, Sequence[object]] = {_AUDIO: sounds, _AUDIO_FAILURE: causes}
            for name in schema.names[2:]:
                column = table.columns.get(name, [None] * len(table))
                values[name] = [_in_utf8(v) for v in column[start : start + len(sounds)]]
            writer.write_table(pa.table(values, schema), row_group_size=len(sounds))
    return n_sounds, failures


def _row_groups(
    keys: Sequence[str], encoder: SoundEncoder
) -> Iterator[tuple[int, list[dict[str, object] | None]]]:
    """Yield the first row and the values of the column `audio` of each row group."""
    sounds: list[dict[str, object] | None] = []
    start = n_bytes = 0
    for number, key in enumerate(keys):
        encoded = encoder(key) if key else None
        size = len(encoded.content) if encoded else 0
        if sounds and (n_bytes + size > _ROW_GROUP_BYTES or len(sounds) == _MAX_ROWS):
            yield start, sounds
            sounds, start, n_bytes = [], number, 0
        sounds.append({"bytes": encoded.content, "path": encoded.name} if encoded else None)
        n_bytes += size
    if sounds:
        yield start, sounds


def _schema(columns: Sequence[str]) -> pa.Schema:
    """Return the schema with the features of `datasets` in its metadata."""
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [(_AUDIO, audio), (_AUDIO_FAILURE, pa.string())]
    features: dict[str, Any] = {_AUDIO: {"_type": "Audio"}, _AUDIO_FAILURE: _feature("string")}
    for name in columns:
        kind = TYPES[name]
        fields.append((name, _arrow_type(kind)))
        features[name] = _feature(kind)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata=metadata)


def _arrow_type(kind: str | list[str]) -> pa.DataType:
    if isinstance(kind, list):
        return pa.list_(_arrow_type(kind[0]))
    named: pa.DataType = pa.type_for_alias(kind)
    return named


def _feature(kind: str | list[str]) -> dict[str, Any]:
    """Return a column type as `datasets` describes it."""
    if isinstance(kind, list):
        return {"feature": _feature(kind[0]), "_type": "List"}
    return {"dtype": kind, "_type": "Value"}


def _in_utf8(value: object) -> object:
    """Return a value in which lone surrogates, from file names, are replaced by escapes."""
    if isinstance(value, list):
        return [_in_utf8(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

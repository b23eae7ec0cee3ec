"""Parts of a classification result in Parquet files; importing this module needs the extra `data`.

A file has one row per clip, in the order of the clips, with two columns: `record` is JSON with the
captions and the failure of the clip, and `scores` is a list with a number per label, or null for a
failed clip. Its metadata describe the part; see `PartHeader`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import Any

import numpy as np

from audioprobe.errors import InvalidInputError, located, needs_extra
from audioprobe.io.atomic import atomic_open
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.parsing import parse_json
from audioprobe.results.classification import ClassificationResult
from audioprobe.results.provenance import Provenance, combined_digest
from audioprobe.results.scores import Caption, Failure, LabelScores, groups_of, truth_of
from audioprobe.types import Clip, Float64Array

with needs_extra("data"):
    import pyarrow as pa
    from pyarrow import parquet

_HEADER = b"audioprobe"  # key of the metadata in a file
_NO_DETAILS: Mapping[str, Any] = MappingProxyType({})
_FIELDS = {"clip", "captions", "failure"}  # of a record
_SCORES = pa.list_(pa.float64())


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHeader:
    """Description of a part.

    Attributes:
        inputs: digest of all inputs that may change between two starts of a run.
        labels: labels of the scores.
        provenance: provenance of the part; its `data` is the digest of the audio of the part.
        measure: kind of the scores.
        n_captions: number of captions.
        failures: number of failed clips by the stage that failed.
    """

    inputs: str
    labels: tuple[str, ...]
    provenance: Provenance
    measure: str
    n_captions: int
    failures: Mapping[str, int]


def write_part(
    path: Path, clips: Sequence[Clip], result: ClassificationResult, inputs: str
) -> PartHeader:
    """Write the result of some clips, and return the header of the file.

    Args:
        path: file to write atomically; its folder must exist.
        clips: the clips, in order; the result has scores or a failure for each.
        result: result without alternative measures.
        inputs: digest of all inputs that may change between two starts of a run.
    """
    header = PartHeader(
        inputs=inputs,
        labels=result.labels,
        provenance=result.provenance,
        measure=result.measure,
        n_captions=len(result.captions),
        failures=Counter(failure.stage for failure in result.failures),
    )
    captions, failures = result.captions_by_clip(), {f.clip_id: f for f in result.failures}
    rows = dict(zip(result.clip_ids, result.scores.tolist(), strict=True))
    records = [_record(c.id, captions[c.id], failures.get(c.id)) for c in clips]
    scores = pa.array([rows.get(clip.id) for clip in clips], _SCORES)
    table = pa.table({"record": records, "scores": scores})
    table = table.replace_schema_metadata({_HEADER: to_json(header, indent=None)})
    with atomic_open(path) as stream:
        parquet.write_table(table, stream)
    return header


def read_header(path: Path) -> PartHeader:
    """Return the header of a part, without reading its clips.

    Raises:
        InvalidInputError: if the file does not exist or is not a part of a result.
    """
    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    with located(str(path)):
        return from_json(PartHeader, metadata.get(_HEADER, b"").decode())


def read_parts(parts: Sequence[tuple[Path, Sequence[Clip]]]) -> ClassificationResult:
    """Return the result of all clips of several parts, which are read one at a time.

    Args:
        parts: file and clips of each part; at least one.

    Raises:
        InvalidInputError: if a part cannot be read, or is not that of its clips.
    """
    headers = [read_header(path) for path, _ in parts]
    labels = headers[0].labels
    scores = np.empty((sum(len(clips) for _, clips in parts), len(labels)))
    captions: list[Caption] = []
    failures: list[Failure] = []
    scored: list[str] = []
    for path, clips in parts:
        records, values = _read_rows(path, len(labels))
        for clip, record in zip(clips, records, strict=True):
            if record["clip"] != clip.id:
                raise InvalidInputError(
                    f"{path}: expected the clip {clip.id!r}, got {record['clip']!r}. Restore the "
                    "data set, or repeat the run in another folder."
                )
            try:
                captions += (_caption(clip.id, fields) for fields in record["captions"])
                if record["failure"] is None:
                    scored.append(clip.id)
                else:
                    failures.append(Failure(clip.id, **record["failure"]))
            except (KeyError, TypeError) as error:
                raise _unreadable(path, error) from error
        scores[len(scored) - len(values) : len(scored)] = values
    every_clip = list(chain.from_iterable(clips for _, clips in parts))
    return ClassificationResult(
        label_scores=LabelScores(tuple(scored), labels, scores[: len(scored)]),
        captions=tuple(captions),
        failures=tuple(failures),
        provenance=_joined_provenance([header.provenance for header in headers]),
        truth=truth_of(every_clip),
        groups=groups_of(every_clip),
        measure=headers[0].measure,
    )


def _record(clip_id: str, captions: Sequence[Caption], failure: Failure | None) -> str:
    """Return the JSON of a clip. It is ASCII, so that any text of a model can be stored."""
    fields = [_without_clip(caption) for caption in captions]
    cause = None if failure is None else _without_clip(failure)
    return json.dumps({"clip": clip_id, "captions": fields, "failure": cause})


def _without_clip(value: Caption | Failure) -> dict[str, Any]:
    return {name: field for name, field in asdict(value).items() if name != "clip_id"}


def _caption(clip_id: str, fields: dict[str, Any]) -> Caption:
    # A million empty dictionaries take 64 MB, and as many copies of "stop" 53 MB.
    shared = {"details": fields["details"] or _NO_DETAILS, "finish": intern(fields["finish"])}
    values: dict[str, Any] = {**fields, **shared}
    return Caption(clip_id=clip_id, **values)


def _read_rows(path: Path, n_labels: int) -> tuple[list[dict[str, Any]], Float64Array]:
    """Return the records of the clips of a part, and the scores of those that did not fail."""
    try:
        table = parquet.read_table(path)
        values = table["scores"].combine_chunks().flatten().to_numpy().reshape(-1, n_labels)
        records = [_parsed(text) for text in table["record"].to_pylist()]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error
    return records, values


def _parsed(text: str) -> dict[str, Any]:
    """Return the record of a clip; raise `ValueError` if it is damaged."""
    record = parse_json(text)
    if not isinstance(record, dict) or record.keys() != _FIELDS:
        raise ValueError(f"expected a record with the fields {sorted(_FIELDS)}, got {text:.100}")
    return record


def _unreadable(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"{path}: the part of a result cannot be read ({error}). Delete it, and resume the run."
    )


def _joined_provenance(parts: Sequence[Provenance]) -> Provenance:
    """Return the provenance of a result in parts; `data` is a digest of the parts' digests."""
    names = dict.fromkeys(name for part in parts for name in part.training_clips)
    return replace(
        parts[0],
        data=combined_digest((str(n), part.data) for n, part in enumerate(parts)),
        created=max(part.created for part in parts),
        training_clips={
            name: tuple(clip for part in parts for clip in part.training_clips.get(name, ()))
            for name in names
        },
    )

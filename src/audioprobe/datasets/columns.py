"""Find the columns of a table by their roles: path, labels, start, end, and so on."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from audioprobe.errors import InvalidInputError, did_you_mean

ROLES = ("path", "labels", "id", "start", "end", "duration", "group", "split")
"""Roles of columns; a role says what a column means. A column is named like its role by default."""

_TIMES = ("start", "end", "duration")
_SECONDS = r"(times?)?(in)?(s|secs?|seconds?)?"  # "start_time", "Start (s)", "end_seconds"
_VARIANTS = {
    role: re.compile(role + _SECONDS if role in _TIMES else rf"{role.removesuffix('s')}s?")
    for role in ROLES
}
_OTHER_UNITS = re.compile(
    r"(start|begin|onset|end|stop|duration|length)(times?)?(in)?"
    r"(ms|msecs?|milliseconds?|us|samples?|frames?|minutes?|mins?|hours?|dates?|datetimes?|utc)"
)
_SYNONYMS = {
    "path": (
        *("filename", "filepath", "file", "files", "audiopath", "audiofilepath", "audiofilename"),
        *("audiofile", "audio", "soundfile", "sound", "recording", "wav", "beginpath", "beginfile"),
    ),
    "labels": (
        *("species", "class", "classes", "classname", "category", "categories", "commonname"),
        *("scientificname", "annotation", "annotations", "tag", "tags", "event", "eventlabel"),
    ),
    "start": ("begin", "begintime", "begintimes", "onset", "onsets"),
    "end": ("stop", "stoptime", "offset", "offsets"),
    "duration": ("length", "lengths", "dur"),
    "group": ("site", "sites", "siteid", "location", "station", "recorder", "recorderid"),
    "split": ("subset", "set", "fold", "partition"),
}


def resolve_columns(names: Sequence[str], chosen: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the column of each role, such as "path" or "labels"; roles without column are absent.

    A column has a role if its name is the name of the role; case, spaces, plural, "_time" and a
    unit of seconds are ignored. A column with another name that probably means the role, such as
    "species" for "labels", raises an error that suggests a value for `columns=`.

    Args:
        names: names of the columns in the table.
        chosen: columns that the user chose, keyed by role; "" means that the role has no column.
        place: file and row of the header, for error messages.

    Raises:
        InvalidInputError: for an unknown role, a chosen column that is not in the table, two
            columns that match one role, or a column that probably has a role but was not chosen.
    """
    columns = check_columns(chosen, names, place)
    for role in ROLES:
        if role not in columns and (column := _variant(role, names, place, columns)):
            columns[role] = column
    used = {column for column in columns.values() if column}
    free = {_letters(name): name for name in reversed(names) if name not in used}
    _refuse_other_units(free, columns, place)
    # A user who chooses columns knows the table and may ignore a group or a split on purpose.
    required = ("path", "labels", *_TIMES) if chosen else ROLES
    probable = {
        role: next(free[word] for word in _SYNONYMS[role] if word in free)
        for role in required
        if role not in columns and any(word in free for word in _SYNONYMS.get(role, ()))
    }
    if "offset" in free and "start" not in {**columns, **probable}:
        probable.pop("end", None)  # "offset" means the end beside an onset, otherwise the start
        probable["start"] = free["offset"]
    if probable or not columns.get("path"):
        role = "path" if not columns.get("path") else next(iter(probable))
        if "path" in {**columns, **probable}:
            other = ', and {"ROLE": ""} for each role without a column' if not chosen else ""
            mapping = columns_argument({**chosen, **probable})
            advice = f"If these columns have these roles, pass {mapping}{other}."
        else:
            advice = 'Pass the column that contains the paths: columns={"path": "..."}.'
        raise InvalidInputError(
            f"{place}: expected the column path, and optionally labels, start, end, duration, "
            f"group, split and id; got {', '.join(names)} without {role!r}. {advice}"
        )
    return {role: column for role, column in columns.items() if column}


def check_columns(chosen: Mapping[str, str], names: Sequence[str], place: str) -> dict[str, str]:
    """Check the columns that the user chose for roles, and return a copy of `chosen`.

    `names` are the columns of the table; `place` is the file and row of the header, for messages.

    Raises:
        InvalidInputError: for an unknown role, or a column that is not among `names`.
    """
    for role, column in chosen.items():
        if role not in ROLES:
            raise InvalidInputError(
                f"columns: expected the keys {', '.join(ROLES)}, got {role!r}."
                f"{did_you_mean(role, ROLES)}"
            )
        if column and column not in names:
            raise InvalidInputError(
                f"{place}: the column {column!r}, chosen for {role!r}, is not among "
                f"{', '.join(names)}.{did_you_mean(column, names)}"
            )
    return dict(chosen)


def columns_argument(columns: Mapping[str, str]) -> str:
    """Return an argument such as `columns={"path": "file"}` for error messages.

    It is followed by the argument of the command line with the same meaning.
    """
    in_shell = ",".join(f"{role}={column}" for role, column in columns.items())
    in_python = json.dumps(dict(columns), ensure_ascii=False)
    return f"columns={in_python} (on the command line: --columns {shlex.quote(in_shell)})"


def _variant(role: str, names: Sequence[str], place: str, columns: Mapping[str, str]) -> str:
    """Return the column whose name is a spelling of a role, such as "Start (s)" for "start".

    Return "" if no column matches. Raise if several columns match.
    """
    free = [name for name in names if name not in columns.values()]
    same = [name for name in free if _letters(name) == role]
    if len(same) < 2 and role in same:
        return role
    candidates = same or [name for name in free if _VARIANTS[role].fullmatch(_letters(name))]
    if len(candidates) > 1:
        raise InvalidInputError(
            f"{place}: expected one column for {role!r}, got "
            f"{' and '.join(map(repr, candidates))}. Choose one of them, as in "
            f"{columns_argument({role: candidates[0]})}."
        )
    return candidates[0] if candidates else ""


def _refuse_other_units(free: Mapping[str, str], columns: Mapping[str, str], place: str) -> None:
    """Raise if the table has times only in another unit than seconds, such as "start_ms".

    `free` contains the columns without a role, keyed by the result of `_letters`.
    """
    if any(role in columns for role in _TIMES):
        return
    for letters, name in free.items():
        if _OTHER_UNITS.fullmatch(letters):
            raise InvalidInputError(
                f"{place}: expected start, end and duration in seconds, got the column {name!r}. "
                'Add columns in seconds, or pass columns={"start": ""} to use whole files.'
            )


def _letters(name: str) -> str:
    """Return the letters and digits of a column name in lower case, to compare spellings."""
    return re.sub(r"[\W_]+", "", name).casefold()

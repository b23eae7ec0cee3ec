"""Assignment of a manifest's columns to roles (path, labels, start, ...)."""

import json
import re
from collections.abc import Mapping, Sequence

from audioprobe.errors import InvalidInputError, did_you_mean

ROLES = ("path", "labels", "id", "start", "end", "duration", "group", "split")
"""Roles of a manifest's columns; the default name of a column is its role."""

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


def resolve_columns(
    names: Sequence[str], given: Mapping[str, str] | None, place: str
) -> dict[str, str]:
    """Return the column name for each role; roles that have no column are absent.

    A role is, for example, "path" or "labels". Column names that differ from the role only in case,
    spaces, plural, "_time" or a unit of seconds are accepted. Other names that probably mean a
    role, such as "species", raise an error that suggests `columns=`, because ignoring the column
    would silently change the clips.

    Args:
        names: names of the columns.
        given: column name for each role, chosen by the caller; "" means that the table has no
            column for this role.
        place: file and row of the header, for messages.

    Raises:
        InvalidInputError: for an unknown role, a column that is not in the table, two columns that
            match one role, or a column that probably has a role but is not listed in `given`.
    """
    given = dict(given or {})
    chosen = check_columns(given, names, place)
    for role in ROLES:
        if role not in chosen and (column := _variant(role, names, place, chosen)):
            chosen[role] = column
    used = {column for column in chosen.values() if column}
    free = {_letters(name): name for name in reversed(names) if name not in used}
    _refuse_other_units(free, chosen, place)
    # A caller who names columns knows the table and may leave other columns unused on purpose.
    required = ("path", "labels", *_TIMES) if given else ROLES
    probable = {
        role: next(free[word] for word in _SYNONYMS[role] if word in free)
        for role in required
        if role not in chosen and any(word in free for word in _SYNONYMS.get(role, ()))
    }
    if "offset" in free and "start" not in {**chosen, **probable}:
        probable.pop("end", None)  # "offset" is the end if there is an onset, else the start
        probable["start"] = free["offset"]
    if probable or not chosen.get("path"):
        role = "path" if not chosen.get("path") else next(iter(probable))
        if "path" in {**chosen, **probable}:
            other = ', and {"ROLE": ""} for each role without a column' if not given else ""
            mapping = columns_argument({**given, **probable})
            advice = f"If these columns have these roles, pass {mapping}{other}."
        else:
            advice = 'Name the column that contains the paths: columns={"path": "..."}.'
        raise InvalidInputError(
            f"{place}: expected the column path, and optionally labels, start, end, duration, "
            f"group, split and id; {role!r} is not among {', '.join(names)}. {advice}"
        )
    return {role: column for role, column in chosen.items() if column}


def check_columns(given: Mapping[str, str], names: Sequence[str], place: str) -> dict[str, str]:
    """Check that the given roles and columns exist, and return columns by role.

    Raises:
        InvalidInputError: for an unknown role, or a column that is not in the table.
    """
    for role, column in given.items():
        if role not in ROLES:
            raise InvalidInputError(
                f"columns: expected the roles {', '.join(ROLES)}, got {role!r}."
                f"{did_you_mean(role, ROLES)}"
            )
        if column and column not in names:
            raise InvalidInputError(
                f"{place}: the column {column!r}, named for {role!r}, is not among "
                f"{', '.join(names)}.{did_you_mean(column, names)}"
            )
    return dict(given)


def columns_argument(columns: Mapping[str, str]) -> str:
    """Return a `columns=` argument, ready to paste into a call."""
    return f"columns={json.dumps(dict(columns), ensure_ascii=False)}"


def _variant(role: str, names: Sequence[str], place: str, chosen: Mapping[str, str]) -> str:
    """Return the column named like the role or a variant of it; "" if there is none."""
    free = [name for name in names if name not in chosen.values()]
    same = [name for name in free if _letters(name) == role]
    if len(same) < 2 and role in same:
        return role
    candidates = same or [name for name in free if _VARIANTS[role].fullmatch(_letters(name))]
    if len(candidates) > 1:
        raise InvalidInputError(
            f"{place}: the columns {' and '.join(map(repr, candidates))} may both be {role!r}. "
            f"Choose one of them, as in {columns_argument({role: candidates[0]})}."
        )
    return candidates[0] if candidates else ""


def _refuse_other_units(free: Mapping[str, str], chosen: Mapping[str, str], place: str) -> None:
    if any(role in chosen for role in _TIMES):
        return
    for letters, name in free.items():
        if _OTHER_UNITS.fullmatch(letters):
            raise InvalidInputError(
                f"{place}: expected start, end and duration in seconds, got the column {name!r}. "
                'Add columns in seconds, or pass columns={"start": ""} to use whole files.'
            )


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()

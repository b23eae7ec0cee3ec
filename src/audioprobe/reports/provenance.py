"""Facts about models and versions on report pages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audioprobe.io.text_table import Table
from audioprobe.reports.html import DataGrid, Links, Section
from audioprobe.results.provenance import Provenance
from audioprobe.types import ComponentInfo

_DIGITS = 16  # number of shown digits of a hash in a sentence


def component_text(info: ComponentInfo) -> str:
    """Return name, revision and hash of a component in one line, such as for a fact of a page."""
    parts = [info.name]
    if info.revision:
        parts.append(f"revision {info.revision}")
    digest = info.options.get("sha256")
    if isinstance(digest, str):
        parts.append(f"SHA-256 {digest[:_DIGITS]}…")
    return ", ".join(parts)


def command_text(command: str = "run config.toml --out FOLDER") -> str:
    """Return the shell command that made a run, whose folder has its configuration."""
    return f"audioprobe {command} (config.toml is in the folder of this page)"


def created_text(times: Sequence[str]) -> str:
    """Return the day and the time of the last of several times in ISO 8601."""
    last = max(times, default="")
    return last.replace("T", " ").replace("+00:00", " UTC") or "unknown"


def provenance_section(
    provenances: Mapping[str, Provenance],
    *,
    command: str,
    files: Sequence[str],
    more: Sequence[tuple[str, str]] = (),
) -> Section:
    """Return the last section of a page: everything that the results depend on, and their files.

    Args:
        provenances: provenance of each result by its name; rows that all of them share are shown
            once.
        command: command that made the results.
        files: names of files with the results, next to the page.
        more: further rows, as (name, value).
    """
    rows = {name: list(provenance_rows(value)) for name, value in provenances.items()}
    shared = [row for row in next(iter(rows.values()), []) if all(row in r for r in rows.values())]
    differing = [
        (f"{name}: {key}", value)
        for name, of_result in rows.items()
        for key, value in of_result
        if (key, value) not in shared
    ]
    table = Table(("name", "value"), (("command", command), *more, *shared, *differing))
    items = [DataGrid("Models, options, versions, seed and date", table)]
    links = Links("Files next to this page", tuple((name, name) for name in files))
    return Section("Provenance and files", [*items, *([links] if files else [])])


def provenance_rows(provenance: Provenance) -> Iterator[tuple[str, str]]:
    """Yield all values of a provenance, as (name, value)."""
    for role, info in provenance.components.items():
        yield from component_rows(role.replace("_", " "), info)
    for name, value in provenance.options.items():
        yield name.replace("_", " "), option_text(value)
    yield "seed", str(provenance.seed)
    yield "date", created_text([provenance.created])
    yield "audio and questions (SHA-256)", provenance.data
    for model, clips in provenance.training_clips.items():
        yield f"evaluated clips that {model} was trained on", str(len(clips))
    for library, version in provenance.versions.items():
        yield f"version of {library}", version


def start_rows(starts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield times, number and versions of the starts of a run, as (name, value)."""
    if not starts:
        return
    yield "first start", created_text([str(starts[0]["time"])])
    yield "last start", created_text([str(starts[-1]["time"])])
    yield "starts", str(len(starts))
    for library, version in starts[-1].get("versions", {}).items():
        yield f"version of {library}", str(version)


def component_rows(role: str, info: ComponentInfo) -> Iterator[tuple[str, str]]:
    """Yield name, revision, options and parts of a component, as (name, value)."""
    yield role, info.name
    if info.revision:
        yield f"{role}: revision", info.revision
    for name, value in info.options.items():
        yield f"{role}: {name.replace('_', ' ')}", option_text(value)
    for part, component in info.parts.items():
        yield from component_rows(f"{role}: {part}", component)


def option_text(value: object) -> str:
    """Return the value of an option as readers write it: lists with commas, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {option_text(each)}" for key, each in value.items())
    if isinstance(value, Sequence):
        return ", ".join(map(option_text, value)) or "none"
    return "none" if value is None else str(value)

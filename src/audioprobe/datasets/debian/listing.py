"""What there is to fetch, and what a fetch brought, as text."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from audioprobe.datasets.debian import table
from audioprobe.datasets.debian.fetch import Fetched
from audioprobe.datasets.debian.sounds import DebianSounds
from audioprobe.datasets.debian.table import SPLITS, DebianPackage, DebianRecording
from audioprobe.datasets.leakage import duplicates
from audioprobe.io.text_table import Table, columns, printable


def contents(names: Iterable[str] | None = None, *, width: int = 100) -> str:
    """The packages, and how many recordings of each concept they hold.

    Args:
        names: of packages; None is all of them.
        width: columns of the terminal.

    Raises:
        InvalidInputError: for an unknown package.
    """
    chosen = table.chosen(names)
    known = {package.name for package in chosen}
    listed = [sound for sound in table.sounds() if sound.package in known]
    parts = [of_packages(chosen).to_text(width)]
    for doubtful, title in ((False, "Recordings"), (True, "Recordings whose label is in doubt")):
        some = [sound for sound in listed if sound.doubtful == doubtful]
        minutes = sum(sound.seconds for sound in some) / 60
        parts.append(f"{title}: {len(some)}, {minutes:.0f} minutes")
        parts.append(by_concept(some).to_text(width))
    return "\n\n".join(parts)


def of_packages(packages: Iterable[DebianPackage]) -> Table:
    """One row per package: split, megabytes to fetch, licence of the recordings."""
    rows = tuple((p.name, p.split, f"{p.size / 1e6:.1f}", p.licence) for p in packages)
    return Table(("package", "split", "MB", "licence"), rows, numeric=(2,))


def by_concept(sounds: Iterable[DebianRecording]) -> Table:
    """One row per concept: recordings in each split, packages, and seconds of sound."""
    found: dict[str, list[DebianRecording]] = {}
    for sound in sounds:
        for label in sound.labels:
            found.setdefault(label, []).append(sound)
    header = ("concept", *SPLITS, "packages", "seconds")
    rows = tuple((label, *_counts(heard)) for label, heard in sorted(found.items()))
    return Table(header, rows, numeric=columns(header[1:], 1))


def report(folder: Path, outcomes: Sequence[Fetched]) -> tuple[str, bool]:
    """What became of each package, and which recordings are missing.

    Returns:
        The text, and True where every recording of these packages is there.
    """
    lines = [f"{outcome.state:9}{outcome.package}" for outcome in outcomes]
    there = [outcome.package for outcome in outcomes if outcome.state != "unknown"]
    complete = len(there) == len(outcomes)
    if not complete:
        lines.append(
            "unknown: not in this system's package index. Try `apt-get update`, Debian 12."
        )
    if there:
        sounds = DebianSounds(folder, packages=there, doubtful=True)
        lines += [f"missing  {name}: {cause}" for name, cause in sounds.missing.items()]
        lines += [f"the same sound: {', '.join(ids)}" for ids in duplicates(sounds)]
        n_there = len(sounds.sounds) - len(sounds.missing)
        lines.append(f"{n_there} of {len(sounds.sounds)} recordings are in {folder}")
        complete = complete and not sounds.missing
    return "\n".join(printable(line) for line in lines), complete


def _counts(heard: Sequence[DebianRecording]) -> tuple[str, ...]:
    splits = [table.packages()[sound.package].split for sound in heard]
    seconds = sum(sound.seconds for sound in heard)
    n_packages = len({sound.package for sound in heard})
    return (*(str(splits.count(s)) for s in SPLITS), str(n_packages), f"{seconds:.1f}")

"""What there is to fetch, and what a fetch brought, as text."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from audioprobe.datasets.debian import table
from audioprobe.datasets.debian.fetch import Fetched
from audioprobe.datasets.debian.sounds import DebianSounds
from audioprobe.datasets.debian.table import SPLITS, Sound
from audioprobe.tables import Table, columns, printable


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
    rows = tuple((p.name, p.split, f"{p.size / 1e6:.1f}", p.licence) for p in chosen)
    parts = [Table(("package", "split", "MB", "licence"), rows, numeric=(2,)).to_text(width)]
    for doubtful, title in ((False, "Recordings"), (True, "Recordings whose label is in doubt")):
        some = [sound for sound in listed if sound.doubtful == doubtful]
        minutes = sum(sound.seconds for sound in some) / 60
        parts.append(f"{title}: {len(some)}, {minutes:.0f} minutes")
        parts.append(by_concept(some).to_text(width))
    return "\n\n".join(parts)


def by_concept(sounds: Iterable[Sound]) -> Table:
    """One row per concept: recordings in each split, packages, and minutes of sound."""
    found: dict[str, list[Sound]] = {}
    for sound in sounds:
        for label in sound.labels:
            found.setdefault(label, []).append(sound)
    header = ("concept", *SPLITS, "packages", "minutes")
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
        lines += [f"the same sound: {', '.join(ids)}" for ids in sounds.duplicates()]
        n_there = len(sounds.sounds) - len(sounds.missing)
        lines.append(f"{n_there} of {len(sounds.sounds)} recordings are in {folder}")
        complete = complete and not sounds.missing
    return "\n".join(printable(line) for line in lines), complete


def _counts(heard: Sequence[Sound]) -> tuple[str, ...]:
    splits = [table.packages()[sound.package].split for sound in heard]
    minutes = sum(sound.seconds for sound in heard) / 60
    n_packages = len({sound.package for sound in heard})
    return (*(str(splits.count(s)) for s in SPLITS), str(n_packages), f"{minutes:.1f}")

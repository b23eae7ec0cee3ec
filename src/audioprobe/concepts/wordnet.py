"""The nouns of WordNet, read from its database files: no package, no download.

The format is that of wndb(5WN): `data.noun` has a line per synset, `index.noun` one per word. A
synset is named by its offset, eight digits, which differ between versions; the concepts that ship
are pinned to version 3.0. `wn_lexicon` reads the lexicons of the package `wn` by the same
interface.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth

DATA = "data.noun"
INDEX = "index.noun"
# wndb(5WN): @ is a hypernym, @i the class of an instance.
HYPERNYM_POINTERS = ("@", "@i")
# wnintro(5WN): WNSEARCHDIR holds the files, WNHOME has them in "dict". Then Debian's wordnet-base,
# Princeton's own installation, and NLTK's data.
USUAL_FOLDERS = ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict")
NLTK_FOLDERS = ("~/nltk_data", "/usr/share/nltk_data", "/usr/local/share/nltk_data")


@dataclass(frozen=True, slots=True)
class Synset:
    """Words with one meaning.

    Attributes:
        id: offset of eight digits, or the id in a lexicon of `wn`.
        words: in the order of the lexicon, with spaces: "bird of prey".
        hypernyms: ids of the synsets directly above, the classes of instances included.
        gloss: definition, and examples if there are any.
    """

    id: str
    words: tuple[str, ...]
    hypernyms: tuple[str, ...]
    gloss: str


class NounLexicon(Protocol):
    """Nouns with their senses and hypernyms."""

    @property
    def name(self) -> str:
        """Name of the source: "wordnet" or "wn"."""
        ...

    @property
    def version(self) -> str:
        """Version of the source."""
        ...

    def __contains__(self, synset_id: object) -> bool:
        """Return whether there is a synset with this id."""
        ...

    def synset(self, synset_id: str) -> Synset:
        """Return a synset by its id.

        Raises:
            InvalidInputError: if there is none, or its entry is damaged.
        """
        ...

    def senses(self, word: str) -> tuple[str, ...]:
        """Return the ids of a noun's synsets in order; () for an unknown word."""
        ...

    def ancestors(self, synset_id: str) -> tuple[str, ...]:
        """Return the ids of everything above a synset, the nearest first."""
        ...


class WordNet:
    """Nouns of an installed WordNet; the most frequent sense of a word is the first.

    Args:
        folder: folder of `data.noun` and `index.noun`; None searches the usual places.

    Raises:
        InvalidInputError: if no such folder is found, or the files are not those of WordNet.
    """

    name = "wordnet"

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = find_folder() if folder is None else Path(folder)
        header, self._synsets = _read_lines(self.folder / DATA)
        _, self._words = _read_lines(self.folder / INDEX)
        version = re.search(r"WordNet (\S+) Copyright", header)
        if version is None or not self._synsets or not self._words:
            raise InvalidInputError(
                f"{self.folder} has no noun files of WordNet: a copyright notice that states the "
                f"version, synsets in {DATA} and words in {INDEX} were expected."
            )
        self.version = version[1]

    def __contains__(self, synset_id: object) -> bool:
        return synset_id in self._synsets

    def synset(self, synset_id: str) -> Synset:
        """Return the synset at an offset.

        Raises:
            InvalidInputError: if there is none, or its line is damaged.
        """
        if synset_id not in self._synsets:
            raise InvalidInputError(
                f"WordNet {self.version} in {self.folder} has no noun synset {synset_id!r}."
            )
        try:
            return _parse_synset(self._synsets[synset_id])
        except (ValueError, IndexError) as error:
            raise self._damaged(DATA, self._synsets[synset_id]) from error

    def senses(self, word: str) -> tuple[str, ...]:
        """Return the offsets of a noun's synsets in order; () for an unknown word."""
        line = self._words.get(word.lower().replace(" ", "_"))
        if line is None:
            return ()
        fields = line.split()
        try:
            # word pos n_synsets n_pointers [pointers] n_senses n_tagged offset [offset...]
            n_synsets, first = int(fields[2]), 6 + int(fields[3])
        except (ValueError, IndexError) as error:
            raise self._damaged(INDEX, line) from error
        offsets = tuple(fields[first:])
        if len(offsets) != n_synsets:
            raise self._damaged(INDEX, line)
        return offsets

    def ancestors(self, synset_id: str) -> tuple[str, ...]:
        """Return the offsets of everything above a synset, the nearest first."""
        return tuple(ancestors_with_depth(synset_id, lambda name: self.synset(name).hypernyms))

    def _damaged(self, file: str, line: str) -> InvalidInputError:
        return InvalidInputError(
            f"{self.folder / file} is damaged: cannot read the line {line!r:.60}. "
            "Install WordNet again."
        )


def find_folder() -> Path:
    """Return the first usual folder with WordNet's noun files.

    Raises:
        InvalidInputError: if there is none.
    """
    home = os.environ.get("WNHOME")
    nltk = [*os.environ.get("NLTK_DATA", "").split(os.pathsep), *NLTK_FOLDERS]
    folders = [
        os.environ.get("WNSEARCHDIR"),
        home and f"{home}/dict",
        *USUAL_FOLDERS,
        *(f"{folder}/corpora/wordnet" for folder in nltk if folder),
    ]
    for folder in (Path(name).expanduser() for name in folders if name):
        if (folder / DATA).is_file() and (folder / INDEX).is_file():
            return folder
    raise InvalidInputError(
        "WordNet was not found. Install Debian's wordnet-base or NLTK's corpus wordnet, or give "
        f"the folder that holds {DATA} and {INDEX} (or set WNSEARCHDIR to it)."
    )


def _read_lines(path: Path) -> tuple[str, dict[str, str]]:
    """Return the notice at the beginning of a file, and the other lines by their first word."""
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"Cannot read {path} as a file of WordNet: {error}") from error
    lines = text.splitlines()
    # Lines of the notice begin with two spaces.
    notice = [line for line in lines if line.startswith("  ")]
    return "\n".join(notice), {
        line.split(" ", 1)[0]: line for line in lines if line.strip() and not line.startswith("  ")
    }


def _parse_synset(line: str) -> Synset:
    """Parse a line "offset file n n_words [word id]... n_pointers [pointer]... | gloss"."""
    head, separator, gloss = line.partition(" | ")
    fields = head.split()
    if not separator or not re.fullmatch(r"[0-9]{8}", fields[0]) or fields[2] != "n":
        raise ValueError("not a noun synset")
    n_words = int(fields[3], 16)  # the only hexadecimal count of the format
    words = fields[4 : 4 + 2 * n_words : 2]
    rest = fields[4 + 2 * n_words :]
    n_pointers = int(rest[0])
    # a pointer is: symbol offset pos ends
    pointers = [tuple(rest[1 + 4 * n : 5 + 4 * n]) for n in range(n_pointers)]
    if not words or len(rest) != 1 + 4 * n_pointers:
        raise ValueError("counts and fields disagree")
    return Synset(
        id=fields[0],
        words=tuple(word.replace("_", " ") for word in words),
        hypernyms=tuple(offset for symbol, offset, *_ in pointers if symbol in HYPERNYM_POINTERS),
        gloss=gloss.strip(),
    )

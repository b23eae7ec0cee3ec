"""Nouns of WordNet, from its database files or from a lexicon of the package `wn`.

The manual page wndb(5WN) describes the database files: `data.noun` has one line per synset (a set
of words with one meaning), `index.noun` one line per word. The id of a synset is its offset of
eight digits. Offsets differ between versions; the shipped concepts refer to version 3.0.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from audioprobe.errors import InvalidInputError, optional_import
from audioprobe.graph import ancestors_with_depth

DATA = "data.noun"
INDEX = "index.noun"
# In wndb(5WN), "@" is a pointer to a hypernym, and "@i" to the class of an instance.
HYPERNYM_POINTERS = ("@", "@i")
# Folders of Debian's wordnet-base and of Princeton's installer, then of NLTK. The folders in the
# environment variables WNSEARCHDIR and WNHOME come before them (see wnintro(5WN)).
USUAL_FOLDERS = ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict")
NLTK_FOLDERS = ("~/nltk_data", "/usr/share/nltk_data", "/usr/local/share/nltk_data")


@dataclass(frozen=True, slots=True)
class Synset:
    """A set of words with one meaning.

    Attributes:
        id: offset of eight digits in `data.noun`, or the synset's id in a lexicon of `wn`.
        words: words in the order of the lexicon, with spaces: "bird of prey".
        hypernyms: ids of the direct hypernyms; if the synset is an instance (a named river), ids
            of the classes of the instance.
        gloss: definition, then examples.
    """

    id: str
    words: tuple[str, ...]
    hypernyms: tuple[str, ...]
    gloss: str


class WordNet:
    """Nouns in the database files of an installed WordNet.

    Args:
        folder: folder with `data.noun` and `index.noun`; None searches the usual folders.

    Raises:
        InvalidInputError: if no folder is found, or if the files are not those of WordNet.
    """

    name = "wordnet"
    """Type of the lexicon: "wordnet" or "wn"."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = find_folder() if folder is None else Path(folder)
        header, self._synsets = _read_lines(self.folder / DATA)
        _, self._words = _read_lines(self.folder / INDEX)
        version = re.search(r"WordNet (\S+) Copyright", header)
        if version is None or not self._synsets or not self._words:
            raise InvalidInputError(
                f"{self.folder}: expected WordNet's {DATA} with synsets, {INDEX} with words, "
                "and a copyright notice that states the version. Install WordNet again."
            )
        self.version = version[1]
        """Version of WordNet, such as "3.0"."""

    def __contains__(self, synset_id: object) -> bool:
        return synset_id in self._synsets

    def synset(self, synset_id: str) -> Synset:
        """Return the synset whose id (offset of eight digits) is `synset_id`.

        Raises:
            InvalidInputError: if no synset has this id, or if its line in `data.noun` is damaged.
        """
        if synset_id not in self._synsets:
            raise InvalidInputError(
                f"WordNet {self.version} in {self.folder} has no noun synset {synset_id!r}. Use an "
                "offset of this version."
            )
        try:
            return _parse_synset(self._synsets[synset_id])
        except (ValueError, IndexError) as error:
            raise self._damaged(DATA, self._synsets[synset_id]) from error

    def senses(self, word: str) -> tuple[str, ...]:
        """Return the ids of a noun's synsets, the most frequent sense first; () if unknown."""
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
        """Return the ids of all ancestors of a synset, the nearest ancestors first."""
        return tuple(ancestors_with_depth(synset_id, lambda name: self.synset(name).hypernyms))

    def _damaged(self, file: str, line: str) -> InvalidInputError:
        return InvalidInputError(
            f"{self.folder / file} is damaged: cannot read the line {line!r:.60}. "
            "Install WordNet again."
        )


class WnLexicon:
    """Nouns of one lexicon that was downloaded with the Python package `wn`.

    Requires the extra `wordnet`. Other downloaded lexicons are not used.

    Args:
        lexicon: name and version, such as "oewn:2024" (Open English WordNet).

    Raises:
        InvalidInputError: if no lexicon or several lexicons match.
        MissingDependencyError: if the extra `wordnet` is not installed.
    """

    name = "wn"

    def __init__(self, lexicon: str) -> None:
        wn = self._wn = optional_import("wn", "wordnet")
        try:
            self._nouns = wn.Wordnet(lexicon, expand="")
        except wn.Error as error:
            raise InvalidInputError(
                f"The package wn has no lexicon {lexicon!r}. Download it with "
                f"wn.download({lexicon!r}), or add a file with wn.add(path)."
            ) from error
        matches = [each.specifier() for each in self._nouns.lexicons()]
        if len(matches) != 1:
            raise InvalidInputError(
                f"Expected one lexicon for {lexicon!r}, got {', '.join(matches) or 'none'}. Pass "
                "name and version of one of them."
            )
        self.version = matches[0]
        """Name and version of the lexicon, such as "oewn:2024"."""

    def __contains__(self, synset_id: object) -> bool:
        try:
            self._nouns.synset(str(synset_id))
        except self._wn.Error:
            return False
        return True

    def synset(self, synset_id: str) -> Synset:
        """Return a synset by its id.

        Raises:
            InvalidInputError: if no synset has this id.
        """
        try:
            synset = self._nouns.synset(synset_id)
        except self._wn.Error as error:
            raise InvalidInputError(
                f"The lexicon {self.version} has no synset {synset_id!r}. Use one of its ids."
            ) from error
        hypernyms = tuple(each.id for each in synset.hypernyms())
        return Synset(synset_id, tuple(synset.lemmas()), hypernyms, synset.definition() or "")

    def senses(self, word: str) -> tuple[str, ...]:
        """Return the ids of a noun's synsets in the order of the lexicon; () if unknown."""
        senses = self._nouns.senses(word.replace("_", " "), pos="n")
        return tuple(dict.fromkeys(sense.synset().id for sense in senses))

    def ancestors(self, synset_id: str) -> tuple[str, ...]:
        """Return the ids of all ancestors of a synset, the nearest ancestors first."""
        return tuple(ancestors_with_depth(synset_id, lambda name: self.synset(name).hypernyms))


NounLexicon = WordNet | WnLexicon
"""A lexicon of nouns; both classes have the same attributes and methods."""


def find_folder() -> Path:
    """Return the folder of the installed WordNet: the first usual folder that has its noun files.

    Raises:
        InvalidInputError: if no folder has the files.
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
        "WordNet was not found. Install Debian's wordnet-base or NLTK's corpus wordnet, or pass "
        f"the folder that contains {DATA} and {INDEX} (or set WNSEARCHDIR to this folder)."
    )


def _read_lines(path: Path) -> tuple[str, dict[str, str]]:
    """Return the copyright notice of a WordNet file, and its other lines by first word."""
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"Cannot read {path} as a file of WordNet: {error}") from error
    lines = text.splitlines()
    # The lines of the notice begin with two spaces.
    notice = [line for line in lines if line.startswith("  ")]
    return "\n".join(notice), {
        line.split(" ", 1)[0]: line for line in lines if line.strip() and not line.startswith("  ")
    }


def _parse_synset(line: str) -> Synset:
    """Return the synset in a line of `data.noun`.

    The format is "offset file n n_words [word id]... n_pointers [pointer]... | gloss".
    """
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

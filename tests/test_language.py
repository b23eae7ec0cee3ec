"""The language of the project: plain technical English, one term per concept.

`PHRASES` lists wordings that are not used here, each with the term to write instead. The test
searches the docs, names, docstrings and comments of the code, and strings of the library.
Strings of tests are not searched: many are answers of models.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PHRASES = {
    r"\bt(old|ell(s|ing)?) (\w+ )?apart\b": "significant, or distinguish",
    r"\b(is|are|was|were|be|been|being) told\b|\btold (how|what|that|as|so|by)\b": "reported",
    r"\b(hears|heard|hearing|listens|listened|listening)\b": "uses the audio, has audio input",
    r"\b(listeners?|ears?|deaf|dumb(er)?)\b": "model, audio frontend, without audio input",
    r"\bheld\b(?![ -]out)": "held-out, rehearsal, regularized, or contained",
    r"\bin (words|sound)\b(?! of)": "in the text / audio condition",
    r"\bwords (and|or|against|minus) sound\b|\bsound (and|or|against) words\b": "text and audio",
    r"\brungs?\b|\bladders?\b": "prompt level, or hypernym chain",
    r"\bmanners\b": "options",
    r"\bverdicts?\b": "diagnosis, conclusion",
    r"\banew\b": "again",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\b(whatever|whoever|whatsoever|nobody)\b": "a relative clause: any X that ..., no user",
    r"(?<!there)(?<!\s)\s+(is|are) no (?!longer\b|more\b|less\b)\w+": "is not a X, means no X",
    r"\bexams?\b": "evaluation",
    r"\bas far as\b": "until, up to",
    r"\bwhat (is|was|are|were) (said|told|asked|taught|heard)\b": "response, question",
    r"\bhold(s|ing)? forgetting\b|\btied by\b": "limits forgetting, alignment loss",
    r"\bcomes? to light\b": "is found",
    r"\bstands? (beside|behind|over|above|under|below)\b|\blies above\b": "is next to, follows",
    r"\bcells? of (a|the|this) (study|design|plan)\b|\b(trained|finished) cells?\b": "training run",
    r"\bof one's own\b|\btheir own mind\b": "your own",
}
"""Patterns, and what to write instead."""

NAMES = frozenset(
    ("found", "said", "told", "heard", "own", "one", "there", "some", "asked", "held", "kept")
)
"""Names that do not say what a variable contains."""

QUOTED = (
    "Listen, Think, and Understand",  # the title of LTU's paper
    "What do MLLMs hear",  # the title of the study
    "What is heard?",  # a prompt
    "annotators heard",  # people do hear
    "by ear",  # of people who checked recordings
)
"""Wordings that stay: removed before a text is searched."""

EXCEPTIONS = {
    "src/audioprobe/small_ltu/questions.py": "questions that the small LTU was trained with",
    "src/audioprobe/training/examples.py": "questions for training, in many wordings",
    "src/audioprobe/probing/answers/judging.py": "the judge's prompt: its answers are cached by it",
    "tests/test_language.py": "the list itself",
}
"""Files that are not searched, with the reason."""

SUFFIXES = (".py", ".md", ".toml")

_QUOTED = re.compile("|".join(re.escape(q).replace(r"\ ", r"\s+") for q in QUOTED))


def offences(path: str, text: str) -> Iterator[str]:
    """Yield what breaks the rules in a file: line, wording, and what to write instead."""
    pattern = _compiled("|".join(f"(?:{p})" for p in PHRASES))
    tree = ast.parse(text) if path.endswith(".py") else None
    names = [] if tree is None else list(_names(tree))
    texts = [*_texts(path, text, tree, pattern), *((line, _words(name)) for line, name in names)]
    for start, raw in sorted(set(texts)):
        words = _QUOTED.sub(lambda match: re.sub(r"\S", " ", match.group()), raw)
        for match in pattern.finditer(words):
            line = start + words[: match.start()].count("\n")
            instead = next(new for p, new in PHRASES.items() if _compiled(p).search(match.group()))
            yield f"{path}:{line}: {match.group().strip()!r}: write {instead}"
    for line, name in names:
        if name in NAMES:
            yield f"{path}:{line}: a variable named {name!r}: name it after its content"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE)


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ")


def _texts(
    path: str, text: str, tree: ast.Module | None, pattern: re.Pattern[str]
) -> Iterator[tuple[int, str]]:
    """Yield pieces of text that people read, with their first line."""
    if tree is None:
        is_prose = path.endswith(".md")
        yield 1, text if is_prose else re.sub(r"(?m)^(?!#).*$", "", text)  # comments of TOML
        return
    if any(pattern.search(comment) for comment in re.findall("#.*", text)):  # tokens take long
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    docstrings_only = path.startswith("tests/")
    for node in ast.walk(tree):
        string = node.value if docstrings_only and isinstance(node, ast.Expr) else node
        if docstrings_only and string is node:
            continue
        if isinstance(string, ast.Constant) and isinstance(string.value, str):
            yield string.lineno, string.value


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the names that a module defines: functions, classes, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


@pytest.mark.parametrize("place", ["src", "tests", "docs", "README.md", "CONTRIBUTING.md"])
def test_language_is_plain(place: str) -> None:
    root = ROOT / place
    paths = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.suffix in SUFFIXES)
    listed: list[str] = []
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if name not in EXCEPTIONS:
            listed += offences(name, path.read_text("utf-8"))
    assert not listed, "\n".join(["", *listed])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/audioprobe/x.py", '"""Groups that are told apart."""'),
        ("src/audioprobe/x.py", 'raise ValueError("This file is no table.")'),
        ("src/audioprobe/x.py", "# a model that hears"),
        ("tests/test_x.py", "def test_the_verdict_is_right(): ..."),
        ("tests/test_x.py", "class Listener: ..."),
        ("src/audioprobe/x.py", "found = 1"),
        ("docs/x.md", "Accuracy in words minus that in sound."),
        ("src/audioprobe/x.toml", "# each rung of the\n# ladder"),
        ("docs/x.md", "Each cell of the study has one seed."),
    ],
)
def test_private_language_is_found(path: str, text: str) -> None:
    assert list(offences(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/audioprobe/x.py", '"""Return held-out clips; there\n    are no others."""'),
        ("tests/test_x.py", 'answer = "I can hear a bird, whatever it is."'),
        ("docs/x.md", "Scores against what annotators heard, and a cell of a table."),
    ],
)
def test_plain_language_passes(path: str, text: str) -> None:
    assert not list(offences(path, text))

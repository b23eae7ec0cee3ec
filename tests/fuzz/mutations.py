"""Hypothesis strategies that damage valid inputs: bytes, trees of JSON and TOML, and tables."""

import copy
import json
from collections.abc import Sequence
from typing import Any

import tomli_w
from hypothesis import strategies as st

Inputs = st.SearchStrategy[bytes]

ODD_NUMBERS = (0, 1, 2, 127, 128, 255, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, 2**70, 10**400, 0.5, -0.0, 1e-320, 1e308,
    float("inf"), float("-inf"), float("nan"), "", " ", "a", "0", "-1", "1e9", "nan", "None", "\0",
    "\u2028", "..", "/", "~nobody/x", "a\nb", "\udcff", "é", "e\u0301", "<b>", "{}", "{x}", "%s",
    "x" * 5000, [], [[]], [1], ["a", "a"], [None], {}, {"a": 1}, {"": None}, {"a": {"a": {}}},
)  # fmt: skip
"""Values that a reader may not expect."""
ODD_CELLS = (
    "", " ", "0", "-1", "1.5", "1,5", "1e400", "nan", "inf", "NaN", "None", "true", "1E+05",
    "'", '"', "''", '""', '"""', "[]", "['a']", "['a'", "{", "a;b", "a|b", "a,b", "\t", "\0",
    "9" * 5000, "[" * 3000, "-" * 3000, "x" * 300, "1:2:3", "99:99:99",
    "\u2028", "=1+1", "..", "/", "../../x", "C:\\x", "~nobody", "é", "e\u0301",
)  # fmt: skip
"""Cells of tables that a reader may not expect."""


def _payloads(tokens: Sequence[bytes]) -> Inputs:
    numbers = [
        number.to_bytes(width, order)
        for number in ODD_NUMBERS
        for width in (1, 2, 4, 8)
        for order in ("little", "big")
        if number < 256**width
    ]
    return st.sampled_from(sorted({*numbers, *tokens})) | st.binary(min_size=1, max_size=8)


@st.composite
def damaged_bytes(
    draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes] = (), most: int = 4
) -> bytes:
    """Draw one of the seeds with up to `most` edits; most edits are near its beginning."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, most))):
        end = draw(st.sampled_from((16, 64, 256, 1 << 20)))
        at = draw(st.integers(0, min(len(content), end)))
        edit = draw(st.sampled_from(("overwrite", "insert", "delete", "cut", "repeat", "splice")))
        if edit in ("overwrite", "insert"):
            payload = draw(_payloads(tokens))
            content[at : at + len(payload) * (edit == "overwrite")] = payload
        elif edit == "cut":
            del content[at:]
        elif edit == "splice":
            other = draw(st.sampled_from(seeds))
            content[at:] = other[draw(st.integers(0, len(other))) :]
        else:
            length = draw(st.integers(1, 64))
            part = bytes(content[at : at + length])
            content[at : at + length] = part * draw(st.integers(2, 40)) * (edit == "repeat")
    return bytes(content)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return each (container, key) of a tree of dictionaries and lists."""
    if isinstance(value, dict):
        keys: Sequence[Any] = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    else:
        return []
    return [(value, key) for key in keys] + [p for key in keys for p in _places(value[key])]


@st.composite
def damaged_trees(draw: st.DrawFn, seeds: Sequence[Any], most: int = 3) -> Any:
    """Draw one of the trees in which up to `most` values are replaced, removed or added."""
    tree = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, most))):
        places = _places(tree)
        if not places:
            return draw(st.sampled_from(ODD_VALUES))
        container, key = places[draw(st.integers(0, len(places) - 1))]
        edit = draw(st.sampled_from(("replace", "replace", "remove", "rename", "swap", "repeat")))
        if edit == "replace":
            container[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
        elif edit == "swap":
            other, at = places[draw(st.integers(0, len(places) - 1))]
            container[key] = copy.deepcopy(other[at])
        elif edit == "repeat" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif edit == "rename" and isinstance(container, dict):
            container[draw(st.sampled_from((f"{key}s", "", "a", "__class__")))] = container.pop(key)
        else:
            del container[key]
    return tree


def _nested(text: bytes, n: int = 100_000) -> Inputs:
    """Return texts with brackets nested too deeply for a recursive parser."""
    opened = (b"[" * n, b'{"a":' * n, b"[" * n + b"]" * n, b'{"a":' * n + b"1" + b"}" * n)
    return st.sampled_from([*opened, text[:-1] + b',"a":' + opened[2] + b"}"])


def _json_bytes(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def damaged_json(seeds: Sequence[Any], tokens: Sequence[bytes] = ()) -> Inputs:
    """Return a strategy of JSON texts: mostly valid JSON with other values, sometimes not JSON."""
    texts = [_json_bytes(seed) for seed in seeds]
    trees = damaged_trees(seeds).map(_json_bytes)
    return st.one_of(trees, trees, trees, damaged_bytes(texts, tokens), _nested(texts[0]))


def damaged_json_lines(seeds: Sequence[Sequence[Any]]) -> Inputs:
    """Return a strategy of files with one JSON value per line."""
    trees = damaged_trees([list(seed) for seed in seeds])
    texts = [b"\n".join(map(_json_bytes, seed)) + b"\n" for seed in seeds]
    lines = trees.map(
        lambda tree: (
            b"\n".join(map(_json_bytes, tree if isinstance(tree, list) else [tree])) + b"\n"
        )
    )
    return st.one_of(lines, lines, damaged_bytes(texts), _nested(texts[0].split(b"\n")[0]))


def _toml_bytes(tree: Any) -> bytes:
    try:
        return tomli_w.dumps(tree).encode("utf-8", "surrogatepass")
    except (TypeError, AttributeError, ValueError):  # None, or no table: no TOML has it
        return repr(tree).encode("utf-8", "surrogatepass")


def damaged_toml(seeds: Sequence[dict[str, Any]]) -> Inputs:
    """Return a strategy of TOML texts: mostly valid TOML with other values."""
    texts = [tomli_w.dumps(seed).encode() for seed in seeds]
    trees = damaged_trees(seeds).map(_toml_bytes)
    deep = st.sampled_from(
        [b"a = " + b"[" * 100_000, b"a = " + b"{a=" * 100_000, b"a." * 5_000 + b"b = 1"]
    )
    return st.one_of(trees, trees, trees, damaged_bytes(texts), deep)


@st.composite
def _tables(draw: st.DrawFn, seeds: Sequence[bytes], delimiter: str) -> bytes:
    rows = [line.split(delimiter) for line in draw(st.sampled_from(seeds)).decode().splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        at = draw(st.integers(0, len(row) - 1))
        edit = draw(st.sampled_from(("replace", "replace", "remove", "swap", "repeat")))
        if edit == "replace":
            row[at] = draw(st.sampled_from(ODD_CELLS))
        elif edit == "swap":
            row[at], row[0] = row[0], row[at]
        elif edit == "repeat":
            rows.append(list(row))
        elif len(row) > 1:
            del row[at]
    end = draw(st.sampled_from(("\n", "\r\n", "\r")))
    text = end.join(delimiter.join(row) for row in rows) + end
    encoding = draw(
        st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"))
    )
    return text.encode(encoding, "surrogatepass")


def damaged_tables(seeds: Sequence[bytes], delimiter: str = ",") -> Inputs:
    """Return a strategy of tables of text with other cells, columns, line ends and encodings."""
    return st.one_of(_tables(seeds, delimiter), _tables(seeds, delimiter), damaged_bytes(seeds))


@st.composite
def _joined(draw: st.DrawFn, parts: Sequence[str]) -> bytes:
    pieces = draw(st.lists(st.sampled_from(parts) | st.text(max_size=6), max_size=12))
    text = draw(st.sampled_from(("", " ", "\n"))).join(pieces)
    return (text * draw(st.sampled_from((1, 1, 1, 2000)))).encode("utf-8", "surrogatepass")


def answers(parts: Sequence[str]) -> Inputs:
    """Return a strategy of texts of a language model, joined from `parts`; some are very long."""
    return _joined(parts)


def damaged_tensors(content: bytes) -> Inputs:
    """Return a strategy of safetensors files with another header, or with other bytes."""
    length = int.from_bytes(content[:8], "little")
    header, values = json.loads(content[8 : 8 + length]), content[8 + length :]

    def joined(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + values

    headers = damaged_json([header])
    return st.one_of(headers.map(joined), headers.map(joined), damaged_bytes([content]))

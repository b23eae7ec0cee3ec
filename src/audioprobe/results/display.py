"""How results show themselves: a few lines in a shell, a table in a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape

from audioprobe.io.text_table import Table, text_width

MAX_LINES = 20
"""Lines of a `repr` at most."""

_MAX_ROWS = 20  # of a table in a notebook


class Displayed(ABC):
    """What is shown as tables and sentences; all else, such as arrays, is left out of `repr`."""

    __slots__ = ()

    @abstractmethod
    def displayed(self) -> tuple[Sequence[Table], Sequence[str]]:
        """Return the tables, which may be empty, and the sentences below them."""

    def __repr__(self) -> str:
        tables, sentences = self.displayed()
        below = "\n".join(sentences).splitlines()[-MAX_LINES // 2 :]
        shown = [table.to_text(text_width()) for table in tables if table.rows]
        lines = [line for text in shown for line in text.splitlines()]
        room = MAX_LINES - len(below)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"... ({len(lines) - room + 1} more lines)"]
        return "\n".join([*lines, *below])

    def _repr_html_(self) -> str:
        """For notebooks; every text of a user or model is escaped."""
        tables, sentences = self.displayed()
        parts = [table.to_html(_MAX_ROWS) for table in tables if table.rows]
        return "\n".join([*parts, *(f"<p>{escape(sentence)}</p>" for sentence in sentences)])

"""Display results as a few lines in a shell, and as tables in a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape

from audioprobe.io.text_table import Table, text_width

MAX_LINES = 20
"""Maximum number of lines of a `repr`."""

_MAX_ROWS = 20  # maximum number of rows of a table in a notebook


class Displayed(ABC):
    """Mixin for results that are displayed as tables and sentences."""

    __slots__ = ()

    @abstractmethod
    def displayed(self) -> tuple[Sequence[Table], Sequence[str]]:
        """Return the tables, which may be empty, and the sentences below them."""

    def __repr__(self) -> str:
        tables, sentences = self.displayed()
        below = "\n".join(sentences).splitlines()[-MAX_LINES // 2 :]
        texts = [table.to_text(text_width()) for table in tables if table.rows]
        lines = [line for text in texts for line in text.splitlines()]
        n_left = MAX_LINES - len(below)
        if len(lines) > n_left:
            lines = [*lines[: n_left - 1], f"... ({len(lines) - n_left + 1} more lines)"]
        return "\n".join([*lines, *below])

    def _repr_html_(self) -> str:
        """Return HTML for notebooks, in which all text of users and models is escaped."""
        tables, sentences = self.displayed()
        parts = [table.to_html(_MAX_ROWS) for table in tables if table.rows]
        return "\n".join([*parts, *(f"<p>{escape(sentence)}</p>" for sentence in sentences)])

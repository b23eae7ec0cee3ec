"""Report pages as single HTML files: sortable tables, figures, and clips with players.

Text from models, file names and configs is untrusted: the template escapes it, and the content
security policy of the page allows only its own script.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from audioprobe.errors import needs_extra
from audioprobe.io.atomic import atomic_write
from audioprobe.io.text_table import Table, printable

with needs_extra("report"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

_FOLDER = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True)
class DataGrid:
    """A table.

    Attributes:
        name: heading.
        table: its cells.
        filter: whether rows can be filtered.
        open: whether it is expanded.
    """

    name: str
    table: Table
    filter: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure.

    Attributes:
        svg: an `<svg>` element from `figures.to_svg`; trusted, not escaped.
        caption: below it.
    """

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class ClipCard:
    """A clip with its spectrogram, player, texts and facts.

    Attributes:
        clip: its id.
        texts: captions by window, or answers.
        facts: further values with their names.
        picture: a data URI of its spectrogram; "" shows none.
        sound: a URI of its audio; "" has no player.
    """

    clip: str
    texts: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    picture: str = ""
    sound: str = ""


@dataclass(frozen=True, slots=True)
class ClipCards:
    """Clips side by side, collapsed by default.

    Attributes:
        name: heading.
        cards: in order.
        open: whether they are expanded.
    """

    name: str
    cards: tuple[ClipCard, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Other pages of the same folder.

    Attributes:
        name: heading.
        links: text and relative address of each.
    """

    name: str
    links: tuple[tuple[str, str], ...]


Item: TypeAlias = DataGrid | Drawing | ClipCards | Links


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page, with a place in its navigation.

    Attributes:
        title: heading.
        items: below each other.
        text: before them; "" has none.
    """

    title: str
    items: Sequence[Item]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        title: heading.
        lead: below it.
        sections: in order.
    """

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=tuple)


def to_html(page: Page) -> str:
    """Return the page as one HTML file that loads nothing except linked audio."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
    )
    environment.globals["printable"] = printable
    macros = environment.get_template("items.html").module
    shapes = {DataGrid: "grid", Drawing: "drawing", ClipCards: "cards", Links: "links"}

    def draw(item: Item) -> Markup:
        macro = getattr(macros, shapes[type(item)])
        return Markup(macro(_trusted(item)))  # noqa: S704 - escaped by the macro

    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        page=page,
        draw=draw,
        script=Markup(script),  # noqa: S704 - our own file
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - as above
        script_hash=Markup(digest),  # noqa: S704 - of our own file
    )


def write_page(page: Page, path: Path) -> Path:
    """Write a page atomically, and return its path."""
    return atomic_write(path, to_html(page))


def _trusted(item: Item) -> object:
    """Mark the SVG of a figure as markup; everything else is text."""
    if isinstance(item, Drawing):
        return {"svg": Markup(item.svg), "caption": item.caption}  # noqa: S704 - by matplotlib
    return item

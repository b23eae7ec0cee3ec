"""Write report pages as single HTML files: sortable tables, figures, and clips with players.

A `Page` consists of sections, and a section of items: tables (`DataGrid`), figures (`Drawing`),
clips (`ClipCards`) and `Links`. Text from models, file names and configs is untrusted: the template
escapes it, and the content security policy of the page allows only its own script.
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
    """Table of a page.

    Attributes:
        name: heading.
        table: header and rows.
        filter: whether rows can be filtered.
        open: whether the table is expanded at first.
    """

    name: str
    table: Table
    filter: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class Drawing:
    """Figure of a page.

    Attributes:
        svg: `<svg>` element from `figures.to_svg`; it is trusted and not escaped.
        caption: text below the figure.
    """

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class ClipCard:
    """Clip with its spectrogram, audio player, texts and further values.

    Attributes:
        clip: id of the clip.
        texts: captions by window, or answers.
        facts: further values with their names.
        picture: data URI of the spectrogram; "" shows no spectrogram.
        sound: URI of the audio; "" shows no player.
    """

    clip: str
    texts: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    picture: str = ""
    sound: str = ""


@dataclass(frozen=True, slots=True)
class ClipCards:
    """Clips side by side; collapsed at first by default.

    Attributes:
        name: heading.
        cards: clips, in order.
        open: whether the clips are expanded at first.
    """

    name: str
    cards: tuple[ClipCard, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Links to other pages of the same folder.

    Attributes:
        name: heading.
        links: text and relative address of each link.
    """

    name: str
    links: tuple[tuple[str, str], ...]


Item: TypeAlias = DataGrid | Drawing | ClipCards | Links


@dataclass(frozen=True, slots=True)
class Section:
    """Section of a page; the navigation of the page links to it.

    Attributes:
        title: heading.
        items: items from top to bottom.
        text: text before the items; "" for no text.
    """

    title: str
    items: Sequence[Item]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Report page.

    Attributes:
        title: heading.
        lead: paragraph below the title.
        sections: sections, in order.
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
    """Return an item for the template; only the SVG of a figure is marked as trusted markup."""
    if isinstance(item, Drawing):
        return {"svg": Markup(item.svg), "caption": item.caption}  # noqa: S704 - by matplotlib
    return item

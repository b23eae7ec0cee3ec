"""One page in one file: tables that sort and filter, figures, and clips to look at and listen to.

Whatever comes from models, file names and configurations is text and stays text: the template
escapes it, and the page's content security policy runs no script but its own.
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
        name: of what it shows.
        table: its cells.
        filter: whether rows can be filtered.
        open: whether it is unfolded.
    """

    name: str
    table: Table
    filter: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure.

    Attributes:
        svg: an `<svg>` element, as `figures.to_svg` gives it; nothing in it is escaped again.
        caption: below it.
    """

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class ClipCard:
    """One clip.

    Attributes:
        clip: its id.
        said: captions by window, or answers.
        facts: what else there is to know, each with its name.
        picture: a data URI of its spectrogram; "" shows none.
        sound: a URI of its sound; "" has no player.
    """

    clip: str
    said: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    picture: str = ""
    sound: str = ""


@dataclass(frozen=True, slots=True)
class ClipCards:
    """Clips side by side, folded until one asks for them.

    Attributes:
        name: of what they show.
        cards: in order.
        open: whether they are unfolded.
    """

    name: str
    cards: tuple[ClipCard, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Other pages of the same folder.

    Attributes:
        name: of what they show.
        links: what each is called, and its address relative to the page.
    """

    name: str
    links: tuple[tuple[str, str], ...]


Item: TypeAlias = DataGrid | Drawing | ClipCards | Links


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page, with a place in its navigation.

    Attributes:
        title: its heading.
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
        title: its heading.
        lead: below it.
        sections: in order.
    """

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=tuple)


def to_html(page: Page) -> str:
    """The page as one HTML file that loads nothing but sounds that it links to."""
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
    """Write it; as `disk.write_whole`."""
    return atomic_write(path, to_html(page))


def _trusted(item: Item) -> object:
    """A figure's SVG is markup; everything else is text."""
    if isinstance(item, Drawing):
        return {"svg": Markup(item.svg), "caption": item.caption}  # noqa: S704 - by matplotlib
    return item

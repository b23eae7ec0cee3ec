"""Replacement of marked sections in documentation pages."""

from pathlib import Path


def replace_section(page: str, name: str, text: str, source: Path) -> str:
    """Return a page with new text between the marks of a section.

    Args:
        page: has `<!-- name -->` and `<!-- /name -->`, each once and on a line of its own.
        name: name of the section.
        text: new content; complete lines.
        source: path of the page, for the error message.

    Raises:
        SystemExit: if a mark does not occur exactly once.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    if page.count(start) != 1 or page.count(end) != 1:
        raise SystemExit(f"{source}: expected {start!r} and {end!r}, each once.")
    before, rest = page.split(start)
    return f"{before}{start}{text}{end}{rest.split(end)[1]}"

"""Pages of the docs in which scripts fill what stands between marks."""

from pathlib import Path


def filled(page: str, name: str, text: str, source: Path) -> str:
    """A page with a text between its one pair of marks.

    Args:
        page: has `<!-- name -->` and `<!-- /name -->`, each on a line of its own.
        name: of the marks.
        text: that takes the place of what is between them; whole lines.
        source: of the page, for the error.

    Raises:
        SystemExit: if either mark is not there once.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{source}: expected {begin!r} and {end!r}, each once.")
    before, rest = page.split(begin)
    return f"{before}{begin}{text}{end}{rest.split(end)[1]}"

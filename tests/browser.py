"""A real browser without a window, for pages that the library writes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

# An installed one; else the one that `playwright install chromium` brings.
INSTALLED = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@contextmanager
def opened(
    path: Path, *, width: int = 1280, dark: bool = False
) -> Iterator[tuple[Page, list[str]]]:
    """A file in the browser, and everything that it complains of."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=INSTALLED, args=ARGUMENTS)
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path.as_uri())
        yield page, complaints
        browser.close()


def draw_charts(page: Page) -> int:
    """Draw all charts of a page, as for printing, and return their number."""
    n = page.locator(".chart").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function("n => document.querySelectorAll('.chart svg').length === n", arg=n)
    return n


def violations(page: Page) -> list[str]:
    """What the accessibility checker axe-core finds in a page, with the first element of each."""
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)
    results = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in results["violations"]]


def check_page(path: Path) -> None:
    """Assert that a report page is accessible and fits, in three widths, light and dark."""
    for width, dark in ((1400, False), (900, False), (400, True)):
        with opened(path, width=width, dark=dark) as (page, complaints):
            draw_charts(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            described = page.locator(".chart [role=graphics-document][aria-label]")
            assert described.count() == page.locator(".chart").count()
            if width != 900:
                assert violations(page) == []
            assert complaints == []

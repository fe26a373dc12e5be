"""The docs site in headless Chromium: it asks nobody else, says nothing, can be read by all, and finds what it has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import WIDTHS, logs, see, serving, violations, visit
from tests.test_site import PAGES as SOURCES
from tests.test_site import site

__all__ = ["site"]

pytest.importorskip("mkdocs", reason="mkdocs is not installed")

PAGES = {"home": "", "course": "course/one-step/", "reference": "reference/laws/"}

SIGHTS = [(width, dark) for width in WIDTHS for dark in (False, True)]

EVERY = [path.removesuffix("index.md").removesuffix(".md").rstrip("/") for path in SOURCES]
EVERY += [f"repository/{name}" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY", "configs", "examples")]


def seen() -> Iterator[Any]:
    """Every page in every sight. The tests of most pages are slow but for one sight, another one from page to page."""
    for at, page in enumerate(EVERY):
        for turn, (width, dark) in enumerate(SIGHTS):
            often = turn == at % len(SIGHTS) or page in [path.rstrip("/") for path in PAGES.values()]
            name = f"{page or 'home'}-{width}-{'dark' if dark else 'light'}"
            yield pytest.param(page, width, dark, id=name, marks=() if often else pytest.mark.slow)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with serving(site) as url:
        yield url


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_nothing_and_asks_for_nothing_else(browser: Any, address: str, page: str) -> None:
    """At three widths, light and dark. SITE_PICTURES names a folder for screenshots."""
    logs(browser)
    for width in WIDTHS:
        for dark in (False, True):
            see(browser, width, dark)
            visit(browser, f"{address}/{PAGES[page]}")
            scheme = browser.execute_script("return document.body.dataset.mdColorScheme")
            assert scheme == ("slate" if dark else "default"), "the page follows the system"
            assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
            if "SITE_PICTURES" in os.environ:
                path = Path(os.environ["SITE_PICTURES"]) / f"{page}-{width}-{'dark' if dark else 'light'}.png"
                assert browser.save_screenshot(str(path))
    said, asked = logs(browser)
    assert said == []
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:", "about:"))] == []


@pytest.mark.parametrize(("page", "width", "dark"), list(seen()))
def test_a_page_can_be_read_by_all(
    browser: Any, address: str, axe_core: str, page: str, width: int, dark: bool
) -> None:
    see(browser, width, dark)
    visit(browser, f"{address}/{page}/")
    assert browser.execute_script("return document.querySelector('article h1')"), "the page is there"
    assert violations(browser, axe_core) == []


def test_search_finds_a_function_by_its_name(browser: Any, address: str) -> None:
    see(browser)
    visit(browser, f"{address}/")
    found = browser.execute_async_script("""
        const done = arguments[0], query = document.querySelector(".md-search__input");
        query.focus();
        query.value = "ByteModel";
        query.dispatchEvent(new Event("keyup", {bubbles: true}));
        const looking = setInterval(() => {
            const links = [...document.querySelectorAll(".md-search-result__link")].map(link => link.href);
            if (links.length) { clearInterval(looking); done(links); }
        }, 50);""")
    assert any("reference/" in link for link in found)


def test_cells_have_a_button_that_copies_them(browser: Any, address: str) -> None:
    see(browser)
    visit(browser, f"{address}/{PAGES['course']}")
    cells, named = browser.execute_async_script("""
        const done = arguments[0], end = Date.now() + 5000;
        const looking = setInterval(() => {
            const cells = document.querySelectorAll(".language-python").length;
            const buttons = [...document.querySelectorAll(".language-python button")].filter(
                button => button.title || button.ariaLabel);
            if (buttons.length || Date.now() > end) { clearInterval(looking); done([cells, buttons.length]); }
        }, 50);""")
    assert cells >= 4
    assert named

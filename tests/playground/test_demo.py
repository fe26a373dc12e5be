"""The demo without a server (docs/demo) in headless Chromium: its distributions are those of cgn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compgen.compressors.deflate import Deflate
from compgen.models import load
from tests.browsers import WIDTHS, logs, see, serving, violations

DEMO = Path(__file__).parent.parent.parent / "docs/demo"


@pytest.fixture(scope="module")
def browser(driver: Any) -> Any:
    driver.get((DEMO / "live.html").as_uri())
    return driver


def test_it_is_small_and_names_its_licence() -> None:
    assert sum(path.stat().st_size for path in DEMO.iterdir()) < 300 << 10
    assert "zlib's license" in (DEMO / "pako.LICENSE").read_text()


@pytest.mark.parametrize("length", [0, 1, 50, 255, 256, 600, 1023, 1024, 3000])
def test_its_law_is_that_of_cgn(browser: Any, prose: bytes, length: int) -> None:
    context = prose[:length]
    shares = browser.execute_script("return [...deflateLaw.law(Uint8Array.from(arguments[0]))]", list(context))
    frequencies = load("gzip").start([context]).frequencies()[0]
    # Behind a copy that has run for over 30 bytes cgn's integers are coarser, by up to a tenth.
    assert np.allclose(shares, frequencies / 2**24, rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 50, 256, 1024, 3000])
def test_its_code_lengths_are_exact(browser: Any, prose: bytes, length: int) -> None:
    texts = [prose[:length], prose[:length] + b"~", prose[:length] + prose[length : length + 1]]
    script = "return deflateLaw.codeLength(Uint8Array.from(arguments[0]))"
    found = [browser.execute_script(script, list(text)) for text in texts]
    assert found == [Deflate().code_length(text) for text in texts]


def test_the_one_step_rule_is_that_of_cgn(browser: Any) -> None:
    context = b"wood chuck wood chu"
    lengths = [Deflate().code_length(context + bytes([symbol])) for symbol in range(256)]
    shares = browser.execute_script("return deflateLaw.oneStep(arguments[0])", lengths)
    frequencies = load("gzip:rule=one-step").start([context]).frequencies()[0]
    assert np.allclose(shares, frequencies / 2**24, rtol=1e-4, atol=3e-7)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_answers_and_anybody_can_use_it(browser: Any, axe_core: str, dark: bool) -> None:
    with serving(DEMO) as address:
        logs(browser)
        browser.get(f"{address}/live.html")
        done = browser.execute_async_script("""
            const done = arguments[0];
            const look = () => document.querySelectorAll("#step .bar").length === 8
                ? done(document.querySelector("#law .bar .label").textContent) : setTimeout(look, 50);
            look();""")
        assert done == "u"
        for width in WIDTHS:
            see(browser, width, dark)
            assert violations(browser, axe_core) == []
            assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.execute_script("document.getElementById('draw').click()")
        browser.execute_async_script("""
            const done = arguments[0];
            const look = () => document.getElementById("made").textContent.length > 20 ? done() : setTimeout(look, 50);
            look();""")
        said, asked = logs(browser)
    assert said == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []

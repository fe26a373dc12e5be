"""A gallery in headless Chromium, opened from files and from a local server."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gallery.test_gallery import CONFIG, EVIL

pytest.importorskip("jinja2")
soundfile = pytest.importorskip("soundfile")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gallery")
    (root / "evil.txt").write_bytes(EVIL)
    (root / "small.toml").write_text(CONFIG)
    words = [sys.executable, "-m", "compgen", "gallery", str(root / "small.toml"), "-o", str(root / "site")]
    subprocess.run([*words, "--data", str(root), "--jobs", "1"], check=True, capture_output=True)
    return root / "site"


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                 "disable-background-networking", "disable-component-update", "disable-dev-shm-usage",
                 f"user-data-dir={tmp_path_factory.mktemp('profile')}"):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    started.set_window_size(1300, 900)
    yield started
    started.quit()


def logs(browser: Any) -> tuple[list[str], list[str]]:
    """Return the messages of the console, and the URLs that were requested."""
    import json

    said = [entry["message"] for entry in browser.get_log("browser")]
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    return said, asked


@pytest.mark.parametrize("page", ["index.html", "explorer.html"])
@pytest.mark.parametrize("local", [True, False], ids=["file", "server"])
def test_a_page_loads_and_asks_for_nothing_else(browser: Any, site: Path, server: str, page: str, local: bool) -> None:
    logs(browser)
    root = site.as_uri() if local else server
    browser.get(f"{root}/{page}")
    said, asked = logs(browser)
    assert said == []
    assert asked
    assert [url for url in asked if not url.startswith((root, "data:"))] == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_pictures_and_sounds_are_what_they_should_be(browser: Any, site: Path) -> None:
    browser.get((site / "index.html").as_uri())
    images = browser.execute_async_script("""
        const done = arguments[0], all = [...document.images];
        Promise.all(all.map(i => i.decode())).then(() => done(all.map(
            i => [i.naturalWidth, i.naturalHeight, i.getAttribute("src")])));""")
    assert [48, 48, "media/1-0.png"] in images
    assert all(width and height for width, height, _ in images)
    durations = browser.execute_async_script("""
        const done = arguments[0], all = [...document.querySelectorAll("audio")];
        Promise.all(all.map(a => a.readyState ? 0 : new Promise(r => a.addEventListener("loadedmetadata", r))))
            .then(() => done(all.map(a => [a.duration, a.getAttribute("src")])));""")
    assert len(durations) == 2
    for seconds, name in durations:
        assert seconds == pytest.approx(soundfile.info(site / name).duration, abs=0.01)


def test_markup_and_control_bytes_are_text(browser: Any, site: Path) -> None:
    browser.get((site / "index.html").as_uri())
    assert "<script>alert(1)</script>␀␛[31m␇" in browser.execute_script(
        "return document.querySelector('pre.given').textContent"
    )
    assert browser.execute_script("return document.querySelectorAll('pre script, h1 b').length") == 0
    browser.get((site / "explorer.html").as_uri())
    assert "<script>" in browser.execute_script("return document.getElementById('line').textContent")


VISIBLE = "return [...document.querySelectorAll('section')].map(s => s.hidden ? 0 : "
VISIBLE += "s.querySelectorAll('article:not([hidden])').length)"


def choose(browser: Any, name: str, value: str) -> None:
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )


def test_filters_and_sorting(browser: Any, site: Path) -> None:
    browser.get((site / "index.html").as_uri())
    assert browser.execute_script(VISIBLE) == [2, 3, 2]
    choose(browser, "medium", "image")
    assert browser.execute_script(VISIBLE) == [0, 3, 0]
    choose(browser, "find", "GZIP")
    assert browser.execute_script(VISIBLE) == [0, 2, 0]
    choose(browser, "rule", "one-step")
    assert browser.execute_script(VISIBLE) == [0, 1, 0]  # the original stays
    for name in ("medium", "find", "rule"):
        choose(browser, name, "")
    order = "return [...document.querySelectorAll('section:nth-of-type(2) article')].map(a => a.dataset[arguments[0]])"
    for key in ("bpb", "reference", "distance", "copy", "seconds"):
        choose(browser, "sort", key)
        values = browser.execute_script(order, key)[1:]
        assert values == sorted(values, key=float)
    choose(browser, "sort", "")
    assert browser.execute_script(order, "order") == ["1", "2", "3"]


def test_keys(browser: Any, site: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get((site / "index.html").as_uri())
    focused = "return [...document.querySelectorAll('article')].indexOf(document.activeElement)"

    def press(key: str) -> None:
        browser.switch_to.active_element.send_keys(key)

    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ARROW_RIGHT)
    assert browser.execute_script(focused) == 0
    press(Keys.ARROW_RIGHT)
    assert browser.execute_script(focused) == 1
    press(Keys.ARROW_DOWN)
    assert browser.execute_script(focused) == 3
    press(Keys.ARROW_UP)
    assert browser.execute_script(focused) == 1
    ground = "return getComputedStyle(document.body).backgroundColor"
    before = browser.execute_script(ground)
    press("d")
    assert browser.execute_script(ground) != before
    press("/")
    assert browser.execute_script("return document.activeElement.id") == "find"


def test_the_explorer_moves(browser: Any, site: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get((site / "explorer.html").as_uri())
    told = "return document.getElementById('told').textContent"
    assert browser.execute_script(told).startswith("byte 1 of 30")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.ARROW_RIGHT)
    assert browser.execute_script(told).startswith("byte 2 of 30")
    body.send_keys(Keys.END)
    assert browser.execute_script(told).startswith("byte 30 of 30")
    assert browser.execute_script("return document.querySelectorAll('#bars article').length") == 2
    assert browser.execute_script("return document.querySelectorAll('#bars .real').length") == 2
    lit = browser.execute_script("""
        const bar = document.querySelector(".bar");
        bar.dispatchEvent(new MouseEvent("mouseenter"));
        return [...document.querySelectorAll(".lit")].every(b => b.dataset.byte === bar.dataset.byte)
            && document.querySelectorAll(".lit").length > 0;""")
    assert lit


def test_a_phone_shows_it_all(browser: Any, site: Path) -> None:
    size = browser.get_window_size()
    try:
        for page in ("index.html", "explorer.html"):
            browser.set_window_size(500, 800)  # the narrowest that headless Chromium's window goes
            browser.get((site / page).as_uri())
            assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    finally:
        browser.set_window_size(size["width"], size["height"])

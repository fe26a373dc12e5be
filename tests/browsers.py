"""A real browser for tests: headless Chromium, what it asked for and said, axe-core, a local server.

A test module that uses it says at its top ``from tests.browsers import browser``, a fixture, and is skipped where Chromium,
its driver or selenium is missing. axe-core comes by ``npm install --no-save axe-core@4`` in the root of the repository.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

AXE = ROOT / "node_modules/axe-core/axe.min.js"

WIDTHS = {1440: 900, 1024: 768, 390: 844}
"""Widths of windows, and their heights, pixels: a desktop, a tablet, a phone."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, with a profile of its own, which logs what it says and asks for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (BROWSER and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                 "disable-background-networking", "disable-component-update", "disable-dev-shm-usage",
                 f"user-data-dir={tmp_path_factory.mktemp('profile')}"):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield started
    started.quit()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on this machine, and give the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def logs(browser: Any) -> tuple[list[str], list[str]]:
    """Return the messages of the console, and the URLs that were requested, since the last call."""
    said = [entry["message"] for entry in browser.get_log("browser")]
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    return said, asked


def show_as(browser: Any, width: int, scheme: str) -> None:
    """Show pages ``width`` pixels wide, one of WIDTHS, to a reader who prefers ``light`` or ``dark`` colours."""
    metrics = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def violations(browser: Any) -> list[str]:
    """Return what axe-core finds on the open page that is serious or critical: a rule and the first places of each."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --no-save axe-core@4")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(r => done(r.violations), e => done([{id: String(e)}]));"
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'] for node in one['nodes'][:3]]}"
        for one in found
        if one.get("impact") in ("serious", "critical", None)
    ]


def picture(browser: Any, path: Path, *, whole: bool = False) -> None:
    """Write a screenshot, of the whole page or of what the window shows, as PNG."""
    import base64

    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": whole})
    path.write_bytes(base64.b64decode(taken["data"]))

"""Headless Chromium for tests of pages: started once, resized, themed, and asked for what it said and fetched."""

from __future__ import annotations

import fcntl
import functools
import http.server
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER, DRIVER, NPM = shutil.which("chromium"), shutil.which("chromedriver"), shutil.which("npm")
AXE = "axe-core@4.11"
"""What npm installs: the checks of accessibility that are run on every page."""
_PATIENCE = 600
"""Seconds for which npm is not asked again once it failed. Chosen: a run of the tests waits for it once."""
WIDTHS = (1440, 1024, 390)
"""Widths of windows, pixels: a desktop, a tablet, a phone."""


def started(profile: Path) -> Any:
    """Return a browser that keeps its profile in a folder."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (BROWSER and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync", "mute-audio",
                 "disable-background-networking", "disable-component-update", "disable-dev-shm-usage",
                 "autoplay-policy=no-user-gesture-required", f"user-data-dir={profile}"):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    browser.set_script_timeout(60)
    see(browser)
    return browser


def see(browser: Any, width: int = 1440, dark: bool = False, moving: bool = False) -> None:
    """Give the window a width, and the system a theme; nothing moves unless ``moving``."""
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = {
        "prefers-color-scheme": "dark" if dark else "light",
        "prefers-reduced-motion": "no-preference" if moving else "reduce",
    }
    listed = [{"name": name, "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})


def visit(browser: Any, address: str) -> None:
    """Load a page anew, even if only the fragment of the address changed."""
    browser.get("about:blank")
    browser.get(address)


def logs(browser: Any) -> tuple[list[str], list[str]]:
    """Return the messages of the console, and the URLs that were requested, since the last call."""
    said = [entry["message"] for entry in browser.get_log("browser")]
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    return said, asked


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder at the address that is given."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def axe(folder: Path) -> str:
    """Return the source of axe-core, which npm installs into ``folder`` once for all workers.

    Without npm, or where npm cannot install it, the test is skipped.
    """
    if NPM is None:
        pytest.skip("npm is not installed, so axe-core cannot be")
    folder.mkdir(parents=True, exist_ok=True)
    source, failure = folder / "node_modules/axe-core/axe.min.js", folder / "failure"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not source.exists():
            if failure.exists() and time.time() - failure.stat().st_mtime < _PATIENCE:
                pytest.skip(failure.read_text(encoding="utf-8"))
            words = [NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), AXE]
            try:
                done = subprocess.run(words, capture_output=True, timeout=60, check=False)
                said = done.stderr.decode(errors="replace").strip().splitlines()
            except subprocess.TimeoutExpired:
                said = ["it took over a minute"]
            if not source.exists():
                failure.write_text(f"npm could not install {AXE}: {said[-1] if said else 'it does not say why'}")
                pytest.skip(failure.read_text(encoding="utf-8"))
    return source.read_text(encoding="utf-8")


def violations(browser: Any, source: str) -> list[str]:
    """Return the violations of accessibility of the open page that axe-core calls serious or critical."""
    if not browser.execute_script("return 'axe' in window"):
        browser.execute_script(source)
    found = browser.execute_async_script("""
        const done = arguments[0];
        axe.run(document, {resultTypes: ["violations"], preload: false}).then(
            (told) => done(told.violations.map((one) =>
                [one.impact, one.id, one.nodes.slice(0, 3).map((node) => node.html)])),
            (error) => done([["critical", String(error), []]]));""")
    return [f"{name}: {nodes}" for impact, name, nodes in found if impact in ("serious", "critical")]

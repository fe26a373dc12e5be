"""What several tests share: the program as a process, real data where there is some."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from tests import browsers

ROOT = Path(__file__).resolve().parent.parent

# Tests leave the user's cache alone.
os.environ["COMPGEN_CACHE"] = str(ROOT / ".pytest_cache" / "compgen")

# Tests run side by side: networks of several threads each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore interrupts, and so would every process that a test starts from one.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("compgen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("compgen")

Run: TypeAlias = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def cgn() -> Run:
    """Run the program in a process of its own; returns what it printed and its exit code."""

    def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "compgen", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
            env={**os.environ, "COLUMNS": "120", **environment},
        )

    return run


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Where real data lies: COMPGEN_DATA, laid out as docs/data.md says."""
    if "COMPGEN_DATA" not in os.environ:
        pytest.skip("COMPGEN_DATA is not set; docs/data.md says where to get real data")
    return Path(os.environ["COMPGEN_DATA"])


@pytest.fixture(scope="session")
def alice(data_root: Path) -> bytes:
    return (data_root / "corpora/canterbury/alice29.txt").read_bytes()


@pytest.fixture(scope="session")
def prose() -> bytes:
    """The prompt that the project ships: a few kilobytes of English."""
    return (ROOT / "examples/prompts/lighthouse.txt").read_bytes()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium for the tests of one file."""
    driver = browsers.started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver: Any) -> Any:
    """The browser of the file: a desktop's window, light, with nothing logged yet."""
    browsers.see(driver)
    browsers.logs(driver)
    return driver


@pytest.fixture(scope="module")
def axe_core(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    return browsers.axe(tmp_path_factory.getbasetemp().parent / "axe")

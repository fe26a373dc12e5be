"""The docs site is built strictly, and its pages are right: links, cells and what they print, notebooks."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.conftest import ROOT

spec = importlib.util.spec_from_file_location("cells", ROOT / "docs/cells.py")
assert spec is not None
assert spec.loader is not None
cells = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cells)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built once for all tests of a run. A warning is an error."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    return folder


PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))

CELLS = [
    page
    for page in PAGES
    if page != "design.md" and re.search(r"^```(python|console)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
]
"""Pages with cells. The Python of design.md is contracts."""

TORCH = {"course/language-models.md", "guide/language-model.md", "how-to/transformers.md"}
"""Those whose cells need a language model."""


def run_cells(path: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-W", "error", "docs/cells.py", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)


def test_there_are_pages_with_cells() -> None:
    assert len([page for page in CELLS if page.startswith("course/")]) == 7
    assert set(CELLS) >= TORCH


@pytest.mark.parametrize("page", CELLS)
def test_cells_print_what_the_page_shows(page: str) -> None:
    if page in TORCH:
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    if page == "how-to/zarr.md":
        pytest.importorskip("numcodecs")
    done = run_cells(ROOT / "docs" / page)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(zlib.ZLIB_RUNTIME_VERSION != cells.ZLIB, reason="pages were printed with another zlib")
def test_a_page_that_shows_something_else_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(6 * 7)\n```\n\n```text\n42\n```\n\n```console\n$ echo 1.5 s\n2.5 s\n```\n")
    assert run_cells(page).returncode == 0  # times differ from run to run
    page.write_text(page.read_text().replace("42", "41"))
    done = run_cells(page)
    assert done.returncode == 1
    assert "41" in done.stdout
    assert "42" in done.stdout


def test_cells_may_show_a_part_and_fail_aloud(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ seq 5\n1\n...\n5\n```\n")
    assert run_cells(page).returncode == 0
    page.write_text("```console\n$ false\n```\n")
    assert run_cells(page).returncode == 1
    page.write_text("```python\nraise SystemExit(0)\nprint(1)\n```\n\n```text\n2\n```\n")
    assert run_cells(page).returncode != 0


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_in_a_clone(page: str) -> None:
    path = ROOT / "docs" / page
    prose = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", prose):
        assert (path.parent / target).exists(), f"{page} links to {target}"


def test_the_site_is_built_with_notebooks_and_what_lies_beside_the_docs(site: Path) -> None:
    for name in (
        "repository/CONTRIBUTING/index.html",
        "repository/examples/prompts/lighthouse.txt",
        "search/search_index.json",
    ):
        assert (site / name).exists()
    assert "--temperature" in (site / "reference/command-line/index.html").read_text()
    assert {path.relative_to(site).parts[0] for path in site.rglob("*.py")} == {"repository"}
    notebooks = sorted(site.glob("course/*.ipynb"))
    assert len(notebooks) == 7
    for path in notebooks:
        written = json.loads(path.read_text())
        code = ["".join(cell["source"]) for cell in written["cells"] if cell["cell_type"] == "code"]
        assert len(code) >= 4
        for source in code:
            compile(source, path.name, "exec")
        assert "href=" + f'"../{path.name}"' in (site / "course" / path.stem / "index.html").read_text()


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        asked = re.findall(
            r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["'](?:https?:)?//[^"']*""", path.read_text()
        )
        assert asked == [], path

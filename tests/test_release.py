"""What is released: the wheel, the source distribution, and the files that speak of a version."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import compgen
from tests.conftest import ROOT

TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def tracked(*folders: str) -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    done = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, check=True, text=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


def built(source: Path, folder: Path, *kinds: str) -> None:
    pytest.importorskip("hatchling")
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *(f"-t{kind}" for kind in kinds)]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built(ROOT, folder, "sdist", "wheel")
    return folder


def wheel_files(folder: Path) -> dict[str, bytes]:
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def test_the_wheel_holds_the_package_and_nothing_else(dist: Path) -> None:
    files = wheel_files(dist)
    described = f"compgen-{compgen.__version__}.dist-info/"
    assert {name for name in files if not name.startswith(described)} == tracked("compgen")
    needed = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert {name.removeprefix(described) for name in files if name.startswith(described)} == needed
    for name in (
        "compgen/py.typed",
        "compgen/neural/weights/model.safetensors",
        "compgen/evaluation/report.html.jinja",
    ):
        assert files[name] == (ROOT / name).read_bytes()
    assert b"cgn = compgen.__main__:main" in files[f"{described}entry_points.txt"]


def test_the_wheel_is_described(dist: Path) -> None:
    files = wheel_files(dist)
    described = email.message_from_bytes(files[f"compgen-{compgen.__version__}.dist-info/METADATA"])
    assert described["Name"] == "compgen"
    assert described["Version"] == compgen.__version__
    assert described["License-Expression"] == "MIT"
    assert described["Description-Content-Type"] == "text/markdown"
    assert {"docs", "llm", "media"} <= set(described.get_all("Provides-Extra", []))


def test_the_source_holds_what_builds_and_shows_and_no_data(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as source:
        files = {member.name.partition("/")[2] for member in source.getmembers() if member.isfile()}
    shown = tracked("compgen", "configs", "examples")
    besides = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
    assert files == shown | besides


def test_a_wheel_of_the_source_is_the_wheel(dist: Path, tmp_path: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    (tmp_path / "source").mkdir()
    subprocess.run(["tar", "-xzf", str(path), "-C", str(tmp_path / "source")], check=True)
    (root,) = (tmp_path / "source").iterdir()
    built(root, tmp_path / "again", "wheel")
    assert wheel_files(tmp_path / "again") == wheel_files(dist)


def test_every_file_that_names_the_version_names_this_one() -> None:
    """compgen/__init__.py has it; packaging reads it there."""
    assert re.search(rf"^version: {re.escape(compgen.__version__)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert re.search(rf"^## {re.escape(compgen.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert "version" not in re.findall(r"^(\w+) =", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_the_citation_names_the_software_and_the_paper() -> None:
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what CFF 1.2.0 asks for
    assert cited["type"] == "software"
    (paper,) = cited["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert "2309.10668" in paper["url"]
    assert len(paper["authors"]) == 12


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates_are_forms(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert set(form) == {"blank_issues_enabled"}
        return
    assert {"name", "description", "body"} <= set(form)
    named = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(named) == len(set(named))
    assert all(part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes") for part in form["body"])
    assert any(part.get("validations", {}).get("required") for part in form["body"])

"""The skeletons of CONTRIBUTING.md run as pasted, pass the checks of their kind, work in use, and are typed."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import compgen
from compgen import testing
from compgen.cli import run
from compgen.compressors import COMPRESSORS
from compgen.evaluation import engines
from compgen.evaluation.run import evaluate
from compgen.evaluation.studies import STUDIES
from compgen.media import MEDIA
from compgen.models import MODELS
from compgen.sampling import SAMPLERS

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## An? (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
REGISTRIES = {"compressor": COMPRESSORS, "model": MODELS, "sampler": SAMPLERS, "medium": MEDIA, "study": STUDIES}
CHECKED = [kind for kind in REGISTRIES if kind != "study"]


def block(section: str, language: str = "python") -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return str(found)


def pasted(section: str, tmp_path: Path) -> dict[str, Any]:
    """The names that a skeleton defines, after it ran as a script, with its last lines."""
    path = tmp_path / f"{section}.py"
    path.write_text(block(section))
    return runpy.run_path(str(path), run_name="__main__")


@pytest.fixture(autouse=True)
def fresh_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_registered", {})


def test_every_kind_has_a_skeleton() -> None:
    assert set(SECTIONS) == set(REGISTRIES)
    for kind in CHECKED:
        assert f"compgen.testing.check_{kind}(" in SECTIONS[kind]


@pytest.mark.parametrize("kind", CHECKED)
def test_a_skeleton_run_as_pasted_checks_itself(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Any] = []

    def checking(one: Any) -> None:
        checked.append(one)
        check(one)

    check = getattr(testing, f"check_{kind}")
    monkeypatch.setattr(testing, f"check_{kind}", checking)
    cls = pasted(kind, tmp_path)["Mine"]
    assert [type(one) for one in checked] == [cls]


@pytest.mark.parametrize("kind", CHECKED)
def test_a_skeleton_needs_no_module_around_it(kind: str) -> None:
    """As in a cell of a notebook, or by ``exec``: dataclasses then find no module to look annotations up in."""
    names: dict[str, Any] = {}
    exec(compile(block(kind), kind, "exec", dont_inherit=True), names)  # noqa: S102 - our own text
    for options in [{"width": 1}, {"width": 48}] if kind == "medium" else [{}]:
        getattr(testing, f"check_{kind}")(names["Mine"](**options))
    assert "name" not in names["Mine"].option_names()


def test_skeletons_work_once_they_are_registered(tmp_path: Path) -> None:
    for kind, coder, sampler in (
        ("compressor", "mine:level=3", "ancestral:allow=bytes"),
        ("model", "mine:gain=8", "ancestral:allow=bytes"),
        ("sampler", "gzip", "mine"),
    ):
        COMPRESSORS._registered.clear()  # their names are the same
        compgen.register("mine", pasted(kind, tmp_path)["Mine"])
        (drawn,) = compgen.sample(coder, "sea shells by the sea", length=8, seed=1, sampler=sampler)
        assert len(drawn.data) == 8
    MEDIA.register("mine", pasted("medium", tmp_path)["Mine"])
    picture = tmp_path / "in.pgm"
    picture.write_bytes(b"P5 16 8 255\n" + bytes(range(128)))
    out = tmp_path / "out.pgm"
    assert run(["sample", "-c", "gzip", "--prompt", str(picture), "--length", "16", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"P5 16 9 255\n" + bytes(range(128)))


def test_the_study_runs_on_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.py"
    path.write_text(block("study"))
    spec = importlib.util.spec_from_file_location("study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "study", module)
    spec.loader.exec_module(module)
    assert {field.name for field in dataclasses.fields(module.Mine)} > {"places", "sets", "rows"}
    STUDIES.register("mine", module.Mine)
    (tmp_path / "mine.toml").write_text(block("study", "toml"))
    result = evaluate(str(tmp_path / "mine.toml"), tmp_path / "out", engines.engine("local", 1), limit=3)
    (table,) = result.study.tables(result.records)
    ((compressor, name, length, rate),) = table.rows
    assert (compressor, name, length, table.places) == ("gzip", "text", 2048, 3)
    assert isinstance(rate, float)
    assert rate == 8 * result.records[0]["written"] / (3 * 2048)


def test_the_study_run_as_pasted_is_evaluate(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(block("study"))
    (tmp_path / "mine.toml").write_text(block("study", "toml"))
    done = subprocess.run([sys.executable, "study.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "bits per byte" in done.stdout
    assert (tmp_path / "results/mine/report.html").exists()


def test_skeletons_are_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for kind in REGISTRIES:
        (tmp_path / f"skeleton_{kind}.py").write_text(block(kind))
    files = map(str, sorted(tmp_path.glob("*.py")))
    # With the project's settings and cache, so that what mypy knows of the package is not computed again.
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

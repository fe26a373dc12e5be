"""The skeletons of CONTRIBUTING.md run as they stand, and pass the checks that their checklists name."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compgen import testing
from compgen.evaluation import engines
from compgen.evaluation.run import evaluate
from compgen.evaluation.studies import STUDIES

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## An? (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
CHECKS: dict[str, Callable[[Any], None]] = {
    "compressor": testing.check_compressor,
    "model": testing.check_model,
    "sampler": testing.check_sampler,
    "medium": testing.check_medium,
}


def block(section: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def skeleton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of a section's skeleton, loaded from a file as a module of its own."""

    def load(section: str) -> Any:
        path = tmp_path / f"skeleton_{section}.py"
        path.write_text(block(section, "python"))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        return module.Mine

    return load


def test_every_kind_has_a_section() -> None:
    assert set(SECTIONS) == {*CHECKS, "study"}
    for name, check in CHECKS.items():
        assert f"compgen.testing.{check.__name__}(" in SECTIONS[name]


@pytest.mark.parametrize("section", CHECKS)
def test_a_skeleton_keeps_the_laws_of_its_kind(skeleton: Any, section: str) -> None:
    cls = skeleton(section)
    for built in [cls(width=1), cls(width=48)] if section == "medium" else [cls()]:
        CHECKS[section](built)


def test_the_study_runs_on_its_config(skeleton: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = skeleton("study")
    assert {field.name for field in dataclasses.fields(cls)} > {"places", "sets", "rows"}
    monkeypatch.setattr(STUDIES, "_registered", {})
    STUDIES.register("mine", cls)
    (tmp_path / "mine.toml").write_text(block("study", "toml"))
    result = evaluate(str(tmp_path / "mine.toml"), tmp_path / "out", engines.engine("local", 1), limit=3)
    (table,) = result.study.tables(result.records)
    ((compressor, name, length, rate),) = table.rows
    assert (compressor, name, length, table.places) == ("gzip", "text", 2048, 3)
    assert isinstance(rate, float)
    assert rate == 8 * result.records[0]["written"] / (3 * 2048)

"""``cgn compressors``: rules, speeds, and extras that are not installed."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

import compgen
from compgen.cli import run
from compgen.extras import EXTRAS
from compgen.jit import numba_is_installed


def test_compressors_tells_the_rules_and_the_speeds(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compressors", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["numba"] is numba_is_installed()
    for entry in found["entries"]:
        if not entry["available"]:
            continue
        if entry["kind"] == "compressor" and entry["name"] not in ("model", "command"):  # those need an argument
            model = compgen.load(entry["name"])
            assert entry["rules"] == {"sample": model.chosen_rule, "compress": "calibrated"}  # type: ignore[attr-defined]
        if entry["name"] in ("model", "command", "mixture"):  # as fast as what they run
            assert entry["bytes_per_second"] is None
            continue
        for task in ("sample", "compress"):
            assert set(entry["bytes_per_second"][task]) == {"without_numba", "with_numba"}
            assert all(speed > 0 for speed in entry["bytes_per_second"][task].values())
    assert run(["compressors"]) == 0
    shown = capfd.readouterr().out
    speed = next(entry for entry in found["entries"] if entry["name"] == "bz2")["bytes_per_second"]["compress"]
    (row,) = [line for line in shown.splitlines() if re.match(r"bz2 +calibrated", line)]
    assert row.split()[-2:] == [f"{speed[way]:,.0f}" for way in ("without_numba", "with_numba")]
    assert found["measured_on"] in shown


def test_compressors_names_every_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # as if nothing were installed
    assert run(["compressors"]) == 0
    shown = capfd.readouterr().out
    for extra in EXTRAS:
        assert f"pip install 'compgen[{extra}]'" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("llm: ")]
    assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in line
    assert run(["compressors", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [extra["name"] for extra in found["missing_extras"]] == list(EXTRAS)
    missing = {entry["name"] for entry in found["entries"] if not entry["available"]}
    assert missing >= {"llm", "ppmd", "flac", "jpegxl", "jpegls", "webp"}


def test_the_extras_are_those_of_pyproject() -> None:
    project = tomllib.loads((Path(compgen.__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"all", "test", "dev", "docs"}  # these are of a clone
    modules = {"pillow": "PIL", "lm-eval": "lm_eval"}

    def packages(extra: str) -> set[str]:
        names = {re.split(r"[>=\[]", one)[0] for one in extras[extra]}
        inner = [re.fullmatch(r"compgen\[(.*)\]", one) for one in extras[extra]]
        return names - {"compgen"} | {name for match in inner if match for name in packages(match[1])}

    for extra, (needed, _) in EXTRAS.items():
        assert set(needed) == {modules.get(name, name) for name in packages(extra)}

"""Benchmarks that need language models run as their docs say; what they measure is for a quiet machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.conftest import ROOT
from tests.neural import tiny


def report_of(name: str, *arguments: str) -> Any:
    """Run a benchmark; return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["bytes", "llama"])
def test_language_models_are_measured(kind: str, tmp_path: Path) -> None:
    path = tiny.byte_network(tmp_path) if kind == "bytes" else tiny.make(kind, tmp_path)
    report = report_of("llm", "--path", str(path), "--lanes", "4", "--context", "24", "--steps", "4")
    assert (report["benchmark"], report["device"], report["lanes"], report["context"]) == ("llm", "cpu", 4, 24)
    measured = ["encode", "decode", "decode_with_turns", "plain", "peak_mb", "bandwidth", "forwards_per_byte"]
    assert all(report[name] > 0 for name in measured)
    assert list(report["limits"]) == (["float32", "int8"] if kind == "bytes" else ["float32"])


def test_samples_by_each_rule_are_judged() -> None:
    report = report_of("rules_judged", "--quick")
    assert (report["benchmark"], report["quick"]) == ("rules_judged", True)
    bits = {row["name"]: row["means"][0] for row in report["results"]}
    rules = ["gzip, decoder", "gzip, calibrated", "gzip, one-step"]
    assert list(bits) == [*rules, "null, decoder", "null, calibrated", "the novel itself"]
    assert bits["the novel itself"] < bits["gzip, calibrated"] < bits["gzip, one-step"]
    assert bits["gzip, decoder"] < bits["null, decoder"]


def test_long_samples_are_measured() -> None:
    report = report_of("long_samples", "--quick")
    assert (report["benchmark"], report["quick"]) == ("long_samples", True)
    rows = {(row["item"], row["spec"]): row for row in report["results"]}
    assert rows["noise, linear", "uniform"]["first"] > 10
    assert rows["noise, linear", "gzip:rule=calibrated"]["full"] == 0
    assert rows["line art", "original"]["black"] == 0

"""Golden samples: a seed draws the same bytes in every later release.

``golden/samples.json`` was written by an earlier commit. This project alone computes every model in it, since another
build of a compression library would change the samples.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compgen.sampling import SAMPLERS, sample
from tests.conftest import ROOT

PROMPT = b"She sells sea shells by the sea shore; the shells "
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden/samples.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['spec']}-{case['sampler']}-{case['options']}")
def test_seeds_draw_what_they_drew(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if case["spec"].startswith("llm"):
        pytest.importorskip("torch")
    monkeypatch.chdir(ROOT)  # a spec holds a path as it was given
    drawn = sample(
        case["spec"],
        PROMPT,
        sampler=case["sampler"],
        samples=case["samples"],
        length=case["length"],
        seed=case["seed"],
        stop=case["stop"],
        **{"allow": "bytes", **case["options"]},
    )
    assert [one.data.hex() for one in drawn] == case["drawn"]


def test_every_sampler_has_golden_samples() -> None:
    assert {case["sampler"].partition(":")[0] for case in CASES} == set(SAMPLERS.names())
    assert len(CASES) == 42

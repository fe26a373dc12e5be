"""Run the fuzzer of .cgn files for a short time. ``python -m tests.fuzz.containers`` is the long run."""

from __future__ import annotations

import pytest

from compgen.coding.container import SegmentFrame
from tests.fuzz.containers import FAMILIES, LANGUAGE_MODELS, frames, originals, run, spec_of

CASES = {"counts": 300, "stored": 300, "network": 40, "samples": 50, "one-step": 50, "proposals": 30}
"""Of each family 100, but more of quick ones and fewer of slow ones."""


@pytest.mark.parametrize("family", [*FAMILIES, *LANGUAGE_MODELS])
def test_hostile_containers_end_in_errors_or_the_right_bytes(family: str) -> None:
    if family in LANGUAGE_MODELS:
        pytest.importorskip("torch")
    outcomes = run(family, CASES.get(family, 100), seed=7)
    assert outcomes["CorruptDataError"] > 0


def test_what_is_mutated_holds_token_segments() -> None:
    pytest.importorskip("torch")
    with spec_of("tokens") as spec:
        pairs = originals(spec)
    assert any(isinstance(f, SegmentFrame) and f.tokens for _, blob in pairs for f in frames(blob))

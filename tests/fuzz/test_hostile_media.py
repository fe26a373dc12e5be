"""Run the fuzzer of media for a short time. ``python -m tests.fuzz.media`` is the long run."""

from __future__ import annotations

import pytest

from tests.fuzz.media import FORMATS, run


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_media_end_in_errors_or_bytes(name: str) -> None:
    pytest.importorskip("PIL")
    pytest.importorskip("soundfile")
    outcomes = run(name, 40, seed=7)
    assert outcomes["UsageError"] > 0
    assert outcomes["Audio"] + outcomes["Image"] > 0

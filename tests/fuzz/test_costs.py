"""Run the fuzzer of costly models for a short time. ``python -m tests.fuzz.costs`` is the long run."""

from __future__ import annotations

import pytest

from tests.fuzz.costs import run


def test_costly_models_are_refused_or_stay_in_bounds() -> None:
    pytest.importorskip("pyppmd")
    pytest.importorskip("soundfile")
    pytest.importorskip("imagecodecs")
    outcomes = run(25, seed=8)
    assert outcomes["LimitError"] > 5
    assert outcomes["IncompatibleError"] > 5
    assert outcomes["CorruptDataError"] > 0, "some passed every bound, and their code was noise"

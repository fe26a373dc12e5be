"""A short run of the container fuzzer; ``python -m tests.fuzz.containers`` is the long one."""

from __future__ import annotations

import pytest

from tests.fuzz.containers import FAMILIES, run


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_containers_end_in_errors_or_the_right_bytes(family: str) -> None:
    outcomes = run(family, 300 if family in ("counts", "stored") else 100, seed=7)
    assert outcomes["CorruptDataError"] > 0

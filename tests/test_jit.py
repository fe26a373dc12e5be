from __future__ import annotations

import math
import time

import pytest

from compgen import jit
from compgen.jit import Loops


def counted(loops: Loops) -> list[str]:
    """Call a loop six times, and return which of its two forms ran at each call."""
    ran: list[str] = []

    def fallback(seconds: float) -> None:
        time.sleep(seconds)
        ran.append("fallback")

    @loops.loop(fallback)
    def compiled(seconds: float) -> None:
        ran.append("compiled")

    for _ in range(6):
        compiled(0.02)
    return ran


def test_compiled_loops_take_over_once_their_fallback_has_cost_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "numba_is_installed", lambda: True)
    monkeypatch.setattr(jit, "_compiled", lambda function: function)
    assert counted(Loops(0.0)) == ["compiled"] * 6
    ran = counted(Loops(0.05))
    assert ran[:2] == ["fallback"] * 2
    assert ran[-2:] == ["compiled"] * 2
    assert counted(Loops(math.inf)) == ["fallback"] * 6


def test_without_numba_fallbacks_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "numba_is_installed", lambda: False)
    assert counted(Loops(0.0)) == ["fallback"] * 6


def test_a_fallback_that_fails_counts_all_the_same() -> None:
    loops = Loops(math.inf)

    def fails() -> None:
        time.sleep(0.01)
        raise ValueError("a fallback that fails")

    with pytest.raises(ValueError, match="fails"):
        loops.loop(fails)(fails)()
    assert loops.spent >= 0.01

from __future__ import annotations

import importlib
import math
import time
from pathlib import Path
from types import FunctionType

import pytest

from compgen import jit
from compgen.jit import Loops, compiled_family


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


def test_a_family_of_functions_is_compiled_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    (tmp_path / "family_lower.py").write_text("SHIFT = 5\ndef shifted(x):\n    return x + SHIFT\n")
    (tmp_path / "family_upper.py").write_text(
        "from family_lower import shifted\ndef twice(x):\n    return shifted(shifted(x))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    lower, upper = importlib.import_module("family_lower"), importlib.import_module("family_upper")
    family = compiled_family(upper, lower)
    assert set(family) == {"twice", "shifted"}
    assert family["twice"](1) == upper.twice(1) == 11
    assert family["twice"].__name__ == "twice"
    assert type(upper.twice) is FunctionType, "the modules are as they were"
    assert list(tmp_path.glob("__pycache__/*twice_*.nbi")), "compiled code is kept on disk"

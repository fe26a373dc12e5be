"""Levels, and how long a file is said to take."""

from __future__ import annotations

import time

import pytest

import compgen
from compgen.coding import timing
from compgen.coding.levels import LEVELS, default_spec, spec_of
from compgen.errors import UsageError
from compgen.models import load


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_codes_smaller_than_the_one_before(level: int, prose: bytes) -> None:
    if "llm" in LEVELS[level]:
        pytest.importorskip("torch")
    data = prose[:3000]
    before = [one for one in LEVELS if one < level]
    blob = compgen.compress(data, spec_of(level))
    assert compgen.decompress(blob, spec_of(level)) == data
    if before:
        assert len(blob) < len(compgen.compress(data, spec_of(before[-1])))


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no level 2; choose 1, 3"):
        spec_of(2)


def test_the_default_needs_no_extra_and_files_say_it(prose: bytes) -> None:
    assert compgen.compress(prose[:1000]) == compgen.compress(prose[:1000], "history")
    assert [default_spec(size) for size in (0, 1 << 14, (1 << 14) + 1, None)] == [LEVELS[3]] * 2 + [LEVELS[1]] * 2


@pytest.mark.parametrize("spec", ["gzip:rule=decoder", "gzip:rule=calibrated", "history", "gzip:rule=one-step", "bz2"])
def test_the_estimate_of_a_file_is_near_what_it_takes(spec: str, prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines differ and share their cores, so the bound is wide: a wrong unit or a forgotten pass fails."""
    monkeypatch.setattr("compgen.jit.numba_is_installed", lambda: False)
    monkeypatch.setattr(timing, "numba_is_installed", lambda: False)
    model = load(spec).resolved("calibrated")
    data = prose[:200] if "one-step" in spec else prose[:1500]
    compgen.compress(data[:50], model)
    begin = time.process_time()
    compgen.compress(data, model)
    took = time.process_time() - begin
    told = timing.seconds(model, len(data))
    assert told is not None
    assert took / 6 < told < took * 6


def test_an_estimate_counts_passes_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    model = load("history")
    both = timing.seconds(model, 1000)
    assert both is not None
    assert timing.seconds(model, 2000) == pytest.approx(2 * both)
    assert timing.seconds(model, 1000, verify=False) == pytest.approx(both / 2)
    assert timing.seconds(model, 1000, jobs=2) == timing.seconds(model, 500)
    assert timing.seconds(model, 1000, jobs=9) == timing.seconds(model, 250)
    assert timing.seconds(load("uniform+history"), 1000) is None, "uniform does not say"

"""Processes whose results come back in order, or as they are finished."""

from __future__ import annotations

import time

from compgen.coding.ordered_pool import OrderedPool


def later(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_results_come_back_as_they_are_finished() -> None:
    """A slow piece of work at the front once kept all others waiting."""
    with OrderedPool(2, most=4) as pool:
        early = [found for seconds in (2.0, 0.1, 0.0) for found in pool.run(seconds, later, seconds)]
        assert early == [], "nothing waits while work is handed in"
        assert [key for key, _ in pool.finished()] == [0.1, 0.0, 2.0]


def test_one_process_needs_no_pool() -> None:
    with OrderedPool(1, most=0) as pool:
        assert list(pool.run("a", later, 0.0)) == [("a", 0.0)]
        assert list(pool.finished()) == []

from __future__ import annotations

import pytest

from compgen.evaluation.metrics import copy_rate, distinct, divergence


def test_copy_rate_counts_windows_found_in_the_context() -> None:
    context = b"abcdefghijklmnopqrstuvwxyz"
    assert copy_rate(context[3:23], context) == 1.0
    assert copy_rate(b"0123456789ABCDEFGHIJ", context) == 0.0
    assert copy_rate(context[:16] + b"!", context) == pytest.approx(1 / 2)
    assert copy_rate(b"abc", context) == 0.0
    assert copy_rate(b"abxabc", context, width=3) == pytest.approx(1 / 4)


def test_distinct_counts_windows_once() -> None:
    assert distinct(b"abcdabcd", 4) == pytest.approx(4 / 5)
    assert distinct(b"aaaaaaaa", 4) == pytest.approx(1 / 5)
    assert distinct(b"abc", 4) == 0.0


def test_divergence_is_zero_for_like_and_one_for_unlike() -> None:
    assert divergence(b"abab", b"baab") == pytest.approx(0)
    assert divergence(b"aaaa", b"bb") == pytest.approx(1)
    # By hand: p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4); H(m) - H(q) / 2 = 0.8113 - 0.5.
    assert divergence(b"aa", b"ab") == pytest.approx(0.3113, abs=1e-4)

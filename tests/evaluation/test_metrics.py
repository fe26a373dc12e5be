from __future__ import annotations

import pytest

from compgen.evaluation.metrics import copy_rate


def test_copy_rate_counts_windows_found_in_the_context() -> None:
    context = b"abcdefghijklmnopqrstuvwxyz"
    assert copy_rate(context[3:23], context) == 1.0
    assert copy_rate(b"0123456789ABCDEFGHIJ", context) == 0.0
    assert copy_rate(context[:16] + b"!", context) == pytest.approx(1 / 2)
    assert copy_rate(b"abc", context) == 0.0
    assert copy_rate(b"abxabc", context, width=3) == pytest.approx(1 / 4)

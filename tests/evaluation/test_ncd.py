from __future__ import annotations

import random

import pytest

import compgen
from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError

ENGLISH = b"it was the best of times, it was the worst of times, it was the age of wisdom; " * 8
OTHER = random.Random(1).randbytes(600)


@pytest.mark.parametrize("spec", ["gzip", "xz", "bz2", "ppmd"])
def test_likeness_is_near_zero_and_unlikeness_near_one(spec: str) -> None:
    assert compgen.ncd(ENGLISH, ENGLISH, spec) < 0.3
    assert compgen.ncd(ENGLISH, OTHER, spec) > 0.9


def test_it_is_the_formula() -> None:
    gzip = COMPRESSORS.build("gzip")
    a, b, ab = (gzip.code_length(x) for x in (ENGLISH, OTHER, ENGLISH + OTHER))
    assert compgen.ncd(ENGLISH, OTHER, gzip) == (ab - min(a, b)) / max(a, b)


def test_text_will_do_and_numbers_will_not() -> None:
    assert compgen.ncd("abc", "abd") == compgen.ncd(b"abc", b"abd")
    with pytest.raises(UsageError, match="the second string must be bytes or text, not int"):
        compgen.ncd(b"abc", 5)  # type: ignore[arg-type]


def test_two_empty_strings_have_no_distance() -> None:
    with pytest.raises(UsageError, match="not defined"):
        compgen.ncd(b"", b"")

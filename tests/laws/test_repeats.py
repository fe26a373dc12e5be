"""Repeats of the last distance: against all ways to write short strings, and the two forms against each other."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compgen.laws.forward import LOOPS
from compgen.laws.lz77 import Pass, Prices
from compgen.laws.repeats import Repeats

LONGEST = 5


def by_bits(size: int, unit: int, bits: dict[int, int]) -> np.ndarray:
    table = np.zeros(size, dtype=np.int64)
    for place, length in bits.items():
        table[place] = 1 << (unit - length)
    return table


TINY = Prices(
    by_bits(256, 20, {97: 2, 98: 3, 99: 3}),
    by_bits(LONGEST + 1, 20, {2: 4, 3: 4, 5: 4}),
    by_bits(9, 28, {1: 1, 2: 2, 3: 3, 5: 3}),
    Repeats(np.array([1, 2, 3, 5]), by_bits(LONGEST + 1, 20, {1: 4, 2: 4, 4: 4})),
)


def enumerated(known: bytes, written: bytes) -> Fraction:
    """The chance that the output begins with ``written``: all instruction sequences, the last may run past its end."""
    text = known + written

    def run_of(here: int, distance: int) -> int:
        run = 0
        while run < LONGEST and here + run < len(text) and text[here + run] == text[here + run - distance]:
            run += 1
        return run

    @functools.cache
    def chance(here: int, last: int) -> Fraction:
        if here == len(text):
            return Fraction(1)
        total = Fraction(int(TINY.literals[text[here]]), 1 << 20) * chance(here + 1, last)
        choices = [(d, Fraction(int(TINY.distances[d]), 1 << 28), TINY.lengths) for d in (1, 2, 3, 5)]
        if last:
            choices.append((last, Fraction(1), TINY.repeats.lengths))
        for distance, price, lengths in choices:
            if distance > here:
                continue
            run = run_of(here, distance)
            for length in range(1, LONGEST + 1):
                if length <= run or here + run == len(text):
                    after = chance(min(here + length, len(text)), distance)
                    total += price * Fraction(int(lengths[length]), 1 << 20) * after
        return total

    return chance(len(known), 0)


@given(st.binary().map(lambda data: bytes(97 + b % 3 for b in data)), st.lists(st.integers(97, 99), max_size=6))
@settings(max_examples=60)
def test_the_sum_over_parses_is_that_of_enumeration(known: bytes, written: list[int]) -> None:
    """To the last integer: with these prices nothing is rounded, so weights are in exact proportion."""
    known = known[:12]
    forms, shares = [], []
    for cost in (math.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LOOPS, "cost", cost)
            law = Pass(known, TINY, 10)
            law.append(np.array(written, dtype=np.uint8))
            forms.append(law._weights())
            shares.append(law.frequencies())
    assert np.array_equal(forms[0], forms[1])
    assert np.array_equal(shares[0], shares[1])
    chances = {b: enumerated(known, bytes([*written, b])) for b in (97, 98, 99)}
    scale = Fraction(int(forms[0][97])) / chances[97]
    assert [Fraction(int(forms[0][b])) for b in chances] == [scale * chances[b] for b in chances]


RECORDS = b"".join(b"%03d,\x00\xff%05d\r\n" % (i % 7, i * i) for i in range(150))


def test_both_forms_give_the_same_and_forks_are_independent() -> None:
    pytest.importorskip("numba")
    literals, lengths = np.full(256, 1 << 11), np.zeros(259, np.int64)
    lengths[2:] = (1 << 17) // np.arange(2, 259) ** 2
    again = np.zeros(259, np.int64)
    again[1:] = (1 << 17) // np.arange(1, 259) ** 2
    far = np.append(0, np.full(2000, (1 << 28) // 2000))
    prices = Prices(literals, lengths, far, Repeats(np.array([3, 13, 26, 130, 1999]), again))
    found = []
    for cost in (math.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LOOPS, "cost", cost)
            law = Pass(RECORDS[:400], prices, 1500)
            law.append(np.frombuffer(RECORDS[400:500], dtype=np.uint8))
            fork = law.fork()
            fork.append(np.frombuffer(b"other", dtype=np.uint8))
            low, width = np.empty(1000, np.int64), np.empty(1000, np.int64)
            law.consume(np.frombuffer(RECORDS[500:1500], dtype=np.uint8), low, width)
            found.append((low, width, law.frequencies(), fork.frequencies()))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    plain = Pass(RECORDS[:400], Prices(literals, lengths, far), 1500)
    without = np.empty(1100, np.int64)
    plain.consume(np.frombuffer(RECORDS[400:1500], dtype=np.uint8), np.empty(1100, np.int64), without)
    assert np.log2(found[0][1]).sum() > np.log2(without[100:]).sum(), "records repeat distances"

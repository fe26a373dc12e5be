from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from compgen.jit import SMALL
from compgen.models.base import PRECISION
from compgen.models.quantise import frequencies_from_lengths, frequencies_from_weights, weights_from_lengths
from compgen.powers import exp2_table

LENGTHS = arrays.arrays(np.float64, (3, 256), elements=st.integers(0, 2**20).map(float))
FRACTIONAL = arrays.arrays(np.float64, (2, 256), elements=st.floats(0, 80))
WEIGHTS = arrays.arrays(np.int64, (3, 256), elements=st.integers(0, 2**32)).filter(lambda w: (w.sum(axis=1) > 0).all())


@given(st.one_of(LENGTHS, FRACTIONAL))
def test_rows_sum_and_hold_no_zero(lengths: np.ndarray) -> None:
    frequencies = frequencies_from_lengths(lengths)
    assert (frequencies >= 1).all()
    assert (frequencies.sum(axis=1) == 1 << PRECISION).all()


@given(LENGTHS)
def test_equal_lengths_share_to_within_one_count_and_shorter_ones_get_no_less(lengths: np.ndarray) -> None:
    for row, frequencies in zip(lengths, frequencies_from_lengths(lengths), strict=True):
        order = np.argsort(row)
        assert (np.diff(frequencies[order]) <= 1).all()
        for length in np.unique(row):
            assert np.ptp(frequencies[row == length]) <= 1


@given(WEIGHTS)
def test_frequencies_are_the_exact_shares_to_within_one_count(weights: np.ndarray) -> None:
    for row, frequencies in zip(weights.tolist(), frequencies_from_weights(weights).tolist(), strict=True):
        for weight, frequency in zip(row, frequencies, strict=True):
            exact = 1 + Fraction(weight * ((1 << PRECISION) - 256), sum(row))
            assert abs(frequency - exact) < 1


def test_the_table_is_two_to_the_minus_i_over_its_size() -> None:
    table = exp2_table()
    assert table[0] == 1 << 32
    # entry**size == 2**(32 * size - i), to within rounding: an exact check in integers
    for i in (1, 7, 1000, 2048, 4095):
        entry, size = int(table[i]), len(table)
        target = 1 << (32 * size - i)
        assert (2 * entry - 1) ** size <= target << size <= (2 * entry + 1) ** size


def test_the_weight_of_a_length_is_a_power_of_two_and_0_over_32_bits() -> None:
    weights = weights_from_lengths(np.array([[3.0, 4.0, 13.0, 35.0, 36.0, 90.0, 1e6]]))
    assert weights.tolist() == [[1 << 32, 1 << 31, 1 << 22, 1, 0, 0, 0]]


def test_whole_bits_halve_and_far_ones_get_the_floor() -> None:
    lengths = np.full((1, 256), 100.0)
    lengths[0, :3] = 10, 11, 12
    frequencies = frequencies_from_lengths(lengths)[0]
    assert frequencies[3:].max() <= 2
    assert abs(frequencies[0] / frequencies[1] - 2) < 1e-5
    assert abs(frequencies[1] / frequencies[2] - 2) < 1e-5


def test_lengths_count_to_the_nearest_2_to_the_minus_12_bits() -> None:
    lengths = np.linspace(0, 30, 256)[None]
    whole = np.rint(lengths * 4096) / 4096
    errors = np.where(np.arange(256) % 2, 0.4, -0.4) / 4096
    assert np.array_equal(frequencies_from_lengths(whole + errors), frequencies_from_lengths(whole))


@given(st.lists(st.integers(0, 3) | st.integers(0, 1 << 32), min_size=256, max_size=256), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_compiled_shares_are_those_of_numpy_ties_included(weights: list[int], certain: int) -> None:
    pytest.importorskip("numba")
    weights[certain] += 1
    rows = np.array([weights, sorted(weights)], dtype=np.int64)
    found = []
    for cost in (0.0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SMALL, "cost", cost)
            found.append(frequencies_from_weights(rows))
    assert np.array_equal(found[0], found[1])
    assert (found[0].sum(axis=1) == 1 << 24).all()

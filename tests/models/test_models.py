from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compgen.compressors import COMPRESSORS
from compgen.models import CodeLengthModel, load
from compgen.models.base import PRECISION
from compgen.models.derived.one_step import OneStepState
from compgen.testing import check_model

ONE_STEP = ["gzip", "gzip:window=16", "deflate:level=1", "bz2:window=64", "zstd", "zstd-dict", "xz:window=50", "brotli"]


@pytest.mark.parametrize("spec", ["uniform", "backoff", "backoff:order=0", "backoff:order=5"])
def test_counting_models_conform(spec: str) -> None:
    check_model(load(spec))


@pytest.mark.parametrize("spec", ONE_STEP)
def test_conforms(spec: str) -> None:
    check_model(load(spec, rule="one-step"))


def test_ppmd_conforms() -> None:
    check_model(load("ppmd:memory=1,rule=one-step"))


@pytest.mark.parametrize("context", [b"peter piper picked a peck of pickled peppers; a peck of pickled ", b""])
def test_the_one_step_rule_is_the_papers(context: bytes) -> None:
    """p(b | context) proportional to 2**-(L(context b) - L(context)), by recompressing and dividing."""
    compressor = COMPRESSORS.build("gzip")
    lengths = [compressor.code_length(context + bytes([b])) for b in range(256)]
    state = load(compressor, rule="one-step").start([context])
    weights = [Fraction(1, 2 ** int(length)) for length in lengths]
    for frequency, weight in zip(state.frequencies()[0].tolist(), weights, strict=True):
        exact = 1 + weight / sum(weights) * ((1 << PRECISION) - 256)
        assert abs(frequency - exact) < 1.01
    start = compressor.code_length(context)
    kraft = sum(Fraction(2) ** (start - length) for length in lengths)
    assert abs(state.code_waste()[0] - np.log2(float(kraft))) < 1e-9
    symbols = np.array([ord("p")], dtype=np.uint8)
    assert state.added_lengths(symbols)[0] == lengths[ord("p")] - start


@given(st.binary(max_size=150).map(lambda data: bytes(b & 3 for b in data)), st.integers(1, 20))
@settings(max_examples=30)
def test_a_window_grows_to_twice_its_size_and_starts_again_at_its_last_half(data: bytes, window: int) -> None:
    model = load("deflate", rule="one-step", window=window)
    assert isinstance(model, CodeLengthModel)
    state = model.start([b""])
    expected = b""
    for symbol in data:
        state.extend(np.array([symbol], dtype=np.uint8))
        expected += bytes([symbol])
        if len(expected) == 2 * window:
            expected = expected[window:]
    assert model.context_window.visible(data) == expected
    assert isinstance(state, OneStepState)
    assert state._contexts[0]._window == expected, "frequencies in whole bytes would not tell"
    reference = load("deflate", rule="one-step").start([expected]).frequencies()
    assert np.array_equal(state.frequencies(), reference)


def test_a_models_cost_does_not_grow_with_what_lies_before_its_window() -> None:
    model = load("gzip:window=64")
    assert isinstance(model, CodeLengthModel)
    assert len(model.context_window.visible(bytes(10**6))) < 128


def test_backoff_is_the_formula() -> None:
    text = b"abracadabra"
    order = 2
    histories = [text[-k:] if k else b"" for k in range(order + 1)]
    probability = [Fraction(1, 256)] * 256
    for history in histories:
        counts = [0] * 256
        for position in range(len(history), len(text)):
            if text[position - len(history) : position] == history:
                counts[text[position]] += 1
        total, distinct = sum(counts), sum(c > 0 for c in counts)
        if total:
            probability = [(c + distinct * p) / (total + distinct) for c, p in zip(counts, probability, strict=True)]
    state = load("backoff:order=2").start([text])
    for got, exact in zip(state.frequencies()[0].tolist(), probability, strict=True):
        assert abs(got - (1 + exact * ((1 << PRECISION) - 256))) < 1.01


def test_equal_rows_share_one_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    from compgen.compressors.deflate import DeflateMeter

    calls = itertools.count()
    measure = DeflateMeter.code_lengths
    monkeypatch.setattr(DeflateMeter, "code_lengths", lambda self, ys: (next(calls), measure(self, ys))[1])
    state = load("gzip", rule="one-step").start([b"same"] * 5)
    state.frequencies()
    state.frequencies()
    state.extend(np.array([1, 1, 2, 2, 2], dtype=np.uint8))
    state.frequencies()
    assert next(calls) == 3

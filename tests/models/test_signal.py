"""Models of signals: better on them, conforming, and unchanged for bytes that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compgen
from compgen.media.layout import Layout
from compgen.models import load
from compgen.models.derived.signal import Signal, solve
from compgen.testing import check_model


def waves(rows: int, width: int, channels: int = 1) -> bytes:
    noise = np.random.default_rng(8)
    y, x = np.mgrid[:rows, :width]
    gray = 128 + 60 * np.sin(x / 9 + y / 7) + 40 * np.sin(y / 11) + noise.normal(0, 2, (rows, width))
    planes = [gray + 9 * k + noise.normal(0, 1, gray.shape) for k in range(channels)]
    return bytes(np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    "spec", ["gzip:pixel=1", "zstd-dict:stride=12,pixel=3", "gzip:pixel=2,window=256", "gzip:pixel=4,depth=16"]
)
def test_conforms(spec: str) -> None:
    check_model(load(spec))


@given(
    st.binary(max_size=700),
    st.integers(0, 700),
    st.sampled_from([Layout(0, 1), Layout(0, 2, 16), Layout(1, 1), Layout(6, 3), Layout(40, 1), Layout(36, 12)]),
)
def test_a_signal_extended_is_a_signal_opened(data: bytes, known: int, layout: Layout) -> None:
    whole, grown = Signal(data, layout), Signal(data[:known], layout)
    for symbol in data[known:]:
        grown.append(symbol)
    assert grown.activity == whole.activity
    assert grown.kind == whole.kind
    shares = whole.shares()
    assert np.array_equal(grown.shares(), shares)
    assert shares.min() > 0
    assert (shares.sum(axis=1) > (1 << 30) - 256).all()
    assert (shares.sum(axis=1) <= 1 << 30).all()


def test_what_a_fork_learns_is_its_own() -> None:
    data = waves(20, 40)
    signal, twin = Signal(data, Layout(40, 1)), Signal(data, Layout(40, 1))
    fork = signal.fork()
    for symbol in bytes(range(0, 256, 2)):
        fork.append(symbol)
    assert np.array_equal(signal.shares(), twin.shares())
    for symbol in bytes(50):
        signal.append(symbol)
        twin.append(symbol)
    assert np.array_equal(signal.shares(), twin.shares())


@given(st.integers(1, 8), st.integers(0, 2**32))
def test_equations_are_solved(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    known = generator.integers(-100, 100, (3 * size, size))
    wanted = generator.integers(-3, 4, size)
    matrix = known.T @ known + 4 * np.eye(size, dtype=np.int64)
    found = solve(np.column_stack([matrix, matrix @ wanted]).tolist(), 1 << 32, 4)
    assert np.abs(np.array(found) / 2**32 - wanted).max() < 1e-3


def test_a_tone_is_predicted_as_one_number_in_two_bytes() -> None:
    time = np.arange(3000)
    tone = np.rint(20000 * np.sin(time / 7) + np.random.default_rng(3).normal(0, 20, 3000)).astype(np.int64) + 32768
    data = tone.astype(">u2").tobytes()
    specs = ("gzip:pixel=2", "gzip:pixel=2,depth=16")
    bits = [compgen.score(spec, data[4000:4400], data[:4000]).derived_bpb for spec in specs]
    assert bits[1] < 3.6 < bits[0]  # of noise of 20 levels: 6.4 bits a sample


def test_pixels_help_on_pictures() -> None:
    data = waves(90, 60)
    rates = [
        compgen.score(spec, data[4200:4800], data[:4200]).derived_bpb
        for spec in ("gzip:rule=calibrated", "gzip:stride=60", "gzip:stride=60,pixel=1")
    ]
    assert rates[2] < rates[1] - 0.5 < rates[0]


def test_colours_help_each_other() -> None:
    data = waves(60, 40, 3)
    context, segment = data[:6000], data[6000:6600]
    apart = compgen.score("gzip:stride=120", segment, context).derived_bpb
    assert compgen.score("gzip:stride=120,pixel=3", segment, context).derived_bpb < apart - 1


def test_the_layout_of_a_medium_reaches_compressor_and_model() -> None:
    assert str(load("png", layout=Layout(90, 3))) == "png:width=30,channels=3"
    assert str(load("png:width=7", layout=Layout(90, 3))) == "png:width=7"
    assert str(load("gzip:stride=5", layout=Layout(90, 3))) == "gzip:stride=5"
    assert str(load("gzip+xz", layout=Layout(90, 1))) == "gzip:stride=90,pixel=1+xz:stride=90,pixel=1"
    assert str(load("gzip", layout=Layout())) == "gzip"
    assert str(load("png", rule="one-step", layout=Layout(90, 3))) == "png:width=30,channels=3,rule=one-step"
    assert load("backoff", layout=Layout(90, 3)) == load("backoff")
    flac = pytest.importorskip("soundfile") and load("flac", layout=Layout(0, 2, 16))
    assert str(flac) == "flac:channels=2,bits=16", "its law needs no more"
    assert str(load("flac", layout=Layout(90, 3))) == "flac"
    calibrated = load("flac:rule=calibrated", layout=Layout(0, 2, 16))
    assert str(calibrated) == "flac:channels=2,bits=16,rule=calibrated,pixel=4,depth=16"


def test_a_frozen_state_learns_no_more() -> None:
    text = waves(20, 60)
    for spec in ("gzip:pixel=1", "gzip:rule=calibrated+backoff"):
        state = load(spec).start([text])
        twin = state.fork([0])
        state.freeze()
        assert np.array_equal(state.frequencies(), twin.frequencies())
        for symbol in b"abc":
            state.extend(np.array([symbol], np.uint8))
            twin.extend(np.array([symbol], np.uint8))
        assert not np.array_equal(state.frequencies(), twin.frequencies())


def test_a_signal_that_is_frozen_predicts_alike_in_like_places() -> None:
    data, place = waves(20, 40), waves(1, 80)
    signal = Signal(data, Layout(0, 1))
    signal.freeze()
    found = []
    for noise in (b"", np.random.default_rng(2).bytes(1500)):
        for symbol in noise + place:
            signal.append(symbol)
        found.append(signal.shares())
    assert np.array_equal(found[0], found[1])


def test_long_samples_of_a_picture_stay_pictures() -> None:
    """Learning from its own sample, the model ended in noise, or in one level for ever."""
    data = waves(120, 60)
    drawn = compgen.sample("gzip", data, length=2400, seed=2, layout=Layout(60, 1), frozen=True)[0].data
    steps = np.abs(np.diff(np.frombuffer(drawn[-600:], np.uint8).astype(int)))
    assert 0.5 < np.median(steps) < 20

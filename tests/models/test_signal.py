"""Models of signals: better on them, conforming, and unchanged for bytes that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compgen
from compgen.media.layout import Layout
from compgen.models import load
from compgen.models.samples.linear import FINE, POINT, share_in_line, share_in_rows, solve, stable
from compgen.models.samples.prediction import Signal
from compgen.testing import check_model


def waves(rows: int, width: int, channels: int = 1) -> bytes:
    noise = np.random.default_rng(8)
    y, x = np.mgrid[:rows, :width]
    gray = 128 + 60 * np.sin(x / 9 + y / 7) + 40 * np.sin(y / 11) + noise.normal(0, 2, (rows, width))
    planes = [gray + 9 * k + noise.normal(0, 1, gray.shape) for k in range(channels)]
    return bytes(np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    "spec", ["bz2:pixel=1", "bz2:stride=12,pixel=3", "bz2:pixel=2,window=256", "bz2:pixel=4,depth=16"]
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
    specs = ("signal:pixel=2", "signal:pixel=2,depth=16")
    bits = [compgen.score(spec, data[4000:4400], data[:4000]).derived_bpb for spec in specs]
    assert bits[1] < 3.6 < bits[0]  # of noise of 20 levels: 6.4 bits a sample


def test_pixels_help_on_pictures() -> None:
    data = waves(90, 60)
    rates = [
        compgen.score(spec, data[4200:4800], data[:4200]).derived_bpb
        for spec in ("bz2", "bz2:stride=60", "bz2:stride=60,pixel=1")
    ]
    assert rates[2] < rates[1] - 0.5 < rates[0]


def test_colours_help_each_other() -> None:
    data = waves(60, 40, 3)
    context, segment = data[:6000], data[6000:6600]
    apart = compgen.score("history:stride=120", segment, context).derived_bpb
    assert compgen.score("signal:stride=120,pixel=3", segment, context).derived_bpb < apart - 1


def test_the_layout_of_a_medium_reaches_compressor_and_model() -> None:
    assert str(load("png", layout=Layout(90, 3))) == "png:width=30,channels=3"
    assert str(load("png:width=7", layout=Layout(90, 3))) == "png:width=7"
    assert str(load("bz2:stride=5", layout=Layout(90, 3))) == "bz2:stride=5"
    assert str(load("bz2+png+xz", layout=Layout(90, 1))) == "bz2:stride=90,pixel=1+png:width=90+xz"
    assert str(load("bz2", layout=Layout())) == "bz2"
    assert str(load("flac", layout=Layout(0, 2, 16))) == "flac:channels=2,bits=16"
    assert str(load("flac", layout=Layout(0, 6, 16))) == "flac:bits=16", "in a line, but no bytes instead of samples"
    assert str(load("gzip:rule=calibrated", layout=Layout(90, 3))) == "gzip:rule=calibrated"
    assert str(load("png", rule="one-step", layout=Layout(90, 3))) == "png:width=30,channels=3,rule=one-step"
    assert load("backoff", layout=Layout(90, 3)) == load("backoff")
    flac = pytest.importorskip("soundfile") and load("flac", layout=Layout(0, 2, 16))
    assert str(flac) == "flac:channels=2,bits=16", "its law needs no more"
    assert str(load("flac", layout=Layout(90, 3))) == "flac"
    calibrated = load("flac:rule=calibrated", layout=Layout(0, 2, 16))
    assert str(calibrated) == "flac:channels=2,bits=16,rule=calibrated"


def test_a_frozen_state_learns_no_more() -> None:
    text = b"a frozen state learns no more, and a state that is not goes on learning, " * 4
    for spec in ("bz2", "gzip:rule=calibrated", "gzip:rule=calibrated+backoff"):
        state = load(spec).start([text])
        twin = state.fork([0])
        state.freeze()
        assert np.array_equal(state.frequencies(), twin.frequencies())
        for symbol in b"abc":
            state.extend(np.array([symbol], np.uint8))
            twin.extend(np.array([symbol], np.uint8))
        assert not np.array_equal(state.frequencies(), twin.frequencies())


def test_a_picture_that_is_frozen_predicts_alike_in_like_places() -> None:
    data, place = waves(20, 40), waves(3, 40)
    signal = Signal(data, Layout(40, 1))
    signal.freeze()
    found = []
    for noise in (b"", np.random.default_rng(2).bytes(40 * 37)):
        for symbol in noise + place:
            signal.append(symbol)
        found.append(signal.shares())
    assert np.array_equal(found[0], found[1])


def test_long_samples_of_a_picture_stay_pictures() -> None:
    """Learning from its own sample, the model ended in noise, or in one level for ever."""
    data = waves(120, 60)
    drawn = compgen.sample("signal", data, length=2400, seed=2, layout=Layout(60, 1), frozen=True)[0].data
    steps = np.abs(np.diff(np.frombuffer(drawn[-600:], np.uint8).astype(int)))
    assert 0.5 < np.median(steps) < 20


def radius(coefficients: list[int]) -> float:
    """Return the largest root, in size, of a predictor of a line."""
    return float(np.abs(np.roots([1.0, *(-c / 2**POINT for c in coefficients)])).max(initial=0))


@given(st.lists(st.integers(-3 << POINT, 3 << POINT), min_size=1, max_size=12))
def test_predictors_of_a_line_are_stable_if_and_only_if_their_roots_say_so(coefficients: list[int]) -> None:
    share = share_in_line(coefficients)
    if share > 0:
        assert radius(coefficients) < 1
        response = [1.0]
        for _ in range(4000):
            response.append(sum(c / 2**POINT * r for c, r in zip(coefficients, reversed(response), strict=False)))
        if response[-1] ** 2 < 1e-9:
            assert np.isclose(sum(r * r for r in response), 2**FINE / share, rtol=1e-2)
    else:
        assert radius(coefficients) > 0.99
    kept = stable(coefficients, range(1, len(coefficients) + 1), 1, 100, share_in_line)
    assert radius(kept) < 1
    assert share_in_line(kept) >= (1 << FINE) // 100


@given(st.lists(st.integers(-(2 << POINT), 2 << POINT), min_size=6, max_size=6))
def test_predictors_of_rows_are_stable_if_and_only_if_their_roots_say_so(coefficients: list[int]) -> None:
    left, up, corner, right, second, top = (c / 2**POINT for c in coefficients)
    turn = np.exp(-2j * np.pi * np.arange(32) / 32)  # a sample to the right, at each frequency along a ring of 32
    row = 1 - left * turn - second * turn**2
    above = up + corner * turn + right / turn
    radii = [np.abs(np.roots([r, -a, -top])).max(initial=0) for r, a in zip(row, above, strict=True)]
    worst = max(*radii, radius([coefficients[0], coefficients[4]]))
    share = share_in_rows(coefficients)
    if share > 0:
        assert worst < 1
        before, last, power = 1 / row, above / row**2, np.abs(1 / row) ** 2
        for _ in range(3000):
            power += np.abs(last) ** 2
            before, last = last, (above * last + top * before) / row
        if np.abs(last).max() < 1e-4:
            assert np.isclose(power.mean(), 2**FINE / share, rtol=1e-2)
    else:
        assert worst > 0.99
    kept = stable(coefficients, (1, 2, 3, 1, 2, 4), 1, 100, share_in_rows)
    assert share_in_rows(kept) >= (1 << FINE) // 100


def hostile(name: str, count: int) -> np.ndarray:
    """Return sound between -1 and 1 of which least squares makes predictors that run away."""
    time = np.arange(count)
    return {
        "growing sine": np.sin(time / 5) * np.exp((time - count) / 60),
        "dying sine": np.sin(time / 3) * np.exp(-time / 200),
        "square wave": np.where(time // 25 % 2, 0.7, -0.7),
        "ramp": time / count - 0.5,
        "pulses": np.where(time % 90, 0.0, 0.8),
        "constant": np.full(count, 0.3),
        "noise, then silence": np.random.default_rng(1).normal(0, 0.2, count).clip(-1, 1) * (time < 0.8 * count),
    }[name]


HOSTILE = ["growing sine", "dying sine", "square wave", "ramp", "pulses", "constant", "noise, then silence"]


@given(
    st.binary(max_size=900), st.sampled_from([Layout(0, 1), Layout(0, 2, 16), Layout(0, 3), Layout(2, 1), Layout(6, 3)])
)
def test_whatever_a_window_holds_its_predictors_are_stable(data: bytes, layout: Layout) -> None:
    assert_stable(Signal(data, layout), layout)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("layout", [Layout(0, 1), Layout(0, 1, 16), Layout(0, 2), Layout(40, 1), Layout(60, 3)])
def test_predictors_of_hostile_windows_are_stable(name: str, layout: Layout) -> None:
    assert_stable(Signal(coded(hostile(name, 2400), layout), layout), layout)


def coded(sound: np.ndarray, layout: Layout) -> bytes:
    half = 1 << (layout.bits - 1)
    samples = np.rint(half + (half - 1) * sound)
    return bytes(samples.astype(">u2" if layout.bits == 16 else np.uint8).tobytes())


def assert_stable(signal: Signal, layout: Layout) -> None:
    signal.freeze()
    for shape, of_channel in zip(signal._neighbours_of, signal._coefficients, strict=True):
        frames = shape.offsets[: shape.own] // layout.channels
        for predictor in of_channel:
            own = predictor[: shape.own].tolist()
            if len(own) == 6:
                assert share_in_rows(own) > 0
            else:
                line = [0] * int(frames.max())
                for frame, coefficient in zip(frames.tolist(), own, strict=True):
                    line[frame - 1] = coefficient
                assert radius(line) < 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sample_of_a_frozen_line_is_bounded_and_does_not_die(name: str) -> None:
    """Music was continued by a square wave at full scale, and speech by silence."""
    sound = hostile(name, 2400)
    data = coded(sound, Layout(0, 1))
    signal = Signal(data, Layout(0, 1))
    signal.freeze()
    random = np.random.default_rng(4)
    drawn = bytearray()
    for _ in range(3000):
        shares = np.cumsum(signal.shares()[2])
        drawn.append(int(np.searchsorted(shares, random.integers(shares[-1]), side="right")))
        signal.append(drawn[-1])
    sample = np.frombuffer(drawn, np.uint8).astype(float)
    assert min(data) - 1 <= np.percentile(sample, 1)
    assert np.percentile(sample, 99) <= max(data) + 1
    prompt = np.frombuffer(data, np.uint8).astype(float)
    assert sample[-1500:].std() < 3 * prompt.std() + 1
    if name not in ("constant", "ramp"):
        assert sample[-1500:].std() > prompt.std() / 3


def test_a_frozen_line_that_forks_or_goes_on_is_the_same() -> None:
    data = coded(hostile("dying sine", 1200), Layout(0, 2))
    signal = Signal(data, Layout(0, 2))
    signal.freeze()
    for symbol in bytes(range(100, 160)) * 4:
        signal.append(symbol)
    fork = signal.fork()
    for symbol in bytes(range(90, 170)) * 2:
        fork.append(symbol)
    again = Signal(data, Layout(0, 2))
    again.freeze()
    for symbol in bytes(range(100, 160)) * 4:
        again.append(symbol)
    assert np.array_equal(signal.shares(), again.shares())
    for symbol in bytes(range(90, 170)) * 2:
        again.append(symbol)
    assert np.array_equal(fork.shares(), again.shares())

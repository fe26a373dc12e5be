"""Models of signals: better on them, conforming, and unchanged for bytes that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compgen
from compgen.media.layout import Layout
from compgen.models import load
from compgen.models.signal import _FOLDED, Plane
from compgen.testing import check_model


def waves(rows: int, width: int, channels: int = 1) -> bytes:
    noise = np.random.default_rng(8)
    y, x = np.mgrid[:rows, :width]
    gray = 128 + 60 * np.sin(x / 9 + y / 7) + 40 * np.sin(y / 11) + noise.normal(0, 2, (rows, width))
    planes = [gray + 9 * k + noise.normal(0, 1, gray.shape) for k in range(channels)]
    return bytes(np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8).tobytes())


@pytest.mark.parametrize("spec", ["gzip:pixel=1", "zstd-dict:stride=12,pixel=3", "gzip:pixel=2,window=256"])
def test_conforms(spec: str) -> None:
    check_model(load(spec))


@given(st.binary(max_size=60), st.integers(0, 9), st.integers(0, 60), st.booleans())
def test_a_plane_extended_is_a_plane_opened(data: bytes, row: int, known: int, colours: bool) -> None:
    base = Plane(data[::-1], row) if colours else None
    whole = Plane(data, row, base)
    if base is not None:
        base = Plane(data[::-1][:known], row)
    grown = Plane(data[:known], row, base)
    for position in range(known, len(data)):
        if base is not None:
            base.append(data[::-1][position])
        grown.append(data[position])
    assert grown.errors == whole.errors
    assert sorted(whole.places().tolist()) == list(range(256))


def test_errors_are_folded_so_that_near_ones_are_neighbours() -> None:
    assert [int(_FOLDED[e & 255]) for e in (0, -1, 1, -2, 2, 127, -128)] == [0, 1, 2, 3, 4, 254, 255]


def test_pixels_help_on_pictures() -> None:
    data = waves(90, 60)
    rates = [
        compgen.score(spec, data[4200:4800], data[:4200]).derived_bpb
        for spec in ("gzip", "gzip:stride=60", "gzip:stride=60,pixel=1")
    ]
    assert rates[2] < rates[1] - 0.5 < rates[0]


def test_colours_help_each_other() -> None:
    data = waves(60, 40, 3)
    context, segment = data[:6000], data[6000:6600]
    apart = compgen.score("gzip:stride=120", segment, context).derived_bpb
    assert compgen.score("gzip:stride=120,pixel=3", segment, context).derived_bpb < apart - 1


def test_the_layout_of_a_medium_reaches_compressor_and_model() -> None:
    assert str(load("png", layout=Layout(90, 3))) == "png:width=30,channels=3,stride=90,pixel=3"
    assert str(load("png:width=7", layout=Layout(90, 3))) == "png:width=7,stride=90,pixel=3"
    assert str(load("gzip:stride=5", layout=Layout(90, 3))) == "gzip:stride=5"
    assert str(load("gzip+xz", layout=Layout(90, 1))) == "gzip:stride=90,pixel=1+xz:stride=90,pixel=1"
    assert str(load("gzip", layout=Layout())) == "gzip"
    assert str(load("png", rule="one-step", layout=Layout(90, 3))) == "png:width=30,channels=3,rule=one-step"
    assert load("backoff", layout=Layout(90, 3)) == load("backoff")
    flac = pytest.importorskip("soundfile") and load("flac", layout=Layout(0, 2, 16))
    assert str(flac) == "flac:channels=2,bits=16,pixel=4"
    assert str(load("flac", layout=Layout(90, 3))) == "flac:stride=90,pixel=3"


def test_a_settled_state_learns_no_more() -> None:
    text = waves(20, 60)
    for spec in ("gzip:pixel=1", "gzip+backoff"):
        state = load(spec).start([text])
        twin = state.fork([0])
        state.settle()
        assert np.array_equal(state.frequencies(), twin.frequencies())
        for symbol in b"abc":
            state.extend(np.array([symbol], np.uint8))
            twin.extend(np.array([symbol], np.uint8))
        assert not np.array_equal(state.frequencies(), twin.frequencies())


def test_long_samples_of_a_picture_stay_pictures() -> None:
    """Learning from its own sample, the model ended in noise, or in one level for ever."""
    data = waves(120, 60)
    drawn = compgen.sample("gzip", data, length=2400, seed=2, layout=Layout(60, 1), settled=True)[0].data
    steps = np.abs(np.diff(np.frombuffer(drawn[-600:], np.uint8).astype(int)))
    assert 0.5 < np.median(steps) < 20

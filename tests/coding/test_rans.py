"""The entropy coder by itself: round trips over arbitrary tables, and code as short as constriction's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compgen.coding import rans
from compgen.errors import CorruptDataError
from compgen.jit import SMALL
from compgen.models.base import find

Table = tuple[np.ndarray, np.ndarray]
LANES = 256


def table(generator: np.random.Generator, symbols: int, precision: int, skew: float) -> np.ndarray:
    """Return (symbols,) widths, all at least 1, that sum to 2**precision."""
    weights = generator.random(symbols) ** skew + 1e-30
    widths = 1 + np.floor(weights / weights.sum() * ((1 << precision) - symbols)).astype(np.int64)
    widths[widths.argmax()] += (1 << precision) - int(widths.sum())
    return np.asarray(widths)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    precision = draw(st.sampled_from([8, 16, 24, 30]))
    return {
        "precision": precision,
        "lanes": draw(st.sampled_from([1, 2, 3, 17, 64])),
        "steps": draw(st.integers(0, 60)),
        "symbols": draw(st.integers(1, min(300, 1 << precision))),
        "skew": draw(st.sampled_from([0.0, 1.0, 8.0, 60.0])),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "by_chance": draw(st.booleans()),
    }


@given(messages())
@settings(max_examples=150)
def test_decoding_undoes_encoding(message: dict[str, Any]) -> None:
    generator = np.random.default_rng(message["seed"])
    precision, lanes, steps = message["precision"], message["lanes"], message["steps"]
    widths = np.stack([table(generator, message["symbols"], precision, message["skew"]) for _ in range(steps + 1)])
    lows = np.cumsum(widths, axis=1) - widths
    # Symbols as likely as they say, or all alike: the rarest ones are what renormalisation finds hardest.
    if message["by_chance"]:
        symbols = np.stack([generator.choice(len(w), lanes, p=w / w.sum()) for w in widths])[:steps]
    else:
        symbols = generator.integers(0, message["symbols"], (steps, lanes))
    pick = np.arange(steps)[:, None]
    low, width = lows[pick, symbols].astype(np.uint32), widths[pick, symbols].astype(np.uint32)
    begin = [rans.LEAST, *(rans.LEAST + int(generator.integers(1 << 32)) for _ in range(lanes - 1))]
    code = rans.encode(low, width, precision, begin)
    decoder = rans.Decoder(code, lanes, precision)
    for t in range(steps):
        points = decoder.points()
        found = np.searchsorted(lows[t], points, side="right") - 1
        assert (found == symbols[t]).all()
        decoder.advance(lows[t][found], widths[t][found])
    assert (decoder.left, decoder.states) == (0, begin)
    information = float((precision - np.log2(width.astype(np.float64))).sum())
    # 8 bytes a lane and 0.05% for rounding; under 16 bits of points rounding is next to nothing.
    assert 8 * len(code) <= information * 1.0005 + 64 * lanes + 1


@given(messages().map(lambda message: {**message, "lanes": LANES}))
@settings(max_examples=25)
def test_compiled_loops_do_what_numpy_does(message: dict[str, Any]) -> None:
    pytest.importorskip("numba")
    generator = np.random.default_rng(message["seed"])
    precision, steps = message["precision"], message["steps"]
    widths = table(generator, 256 if precision > 8 else 2, precision, message["skew"])
    lows = np.cumsum(widths) - widths
    symbols = generator.integers(0, len(widths), (steps, LANES))
    low, width = lows[symbols].astype(np.uint32), widths[symbols].astype(np.uint32)
    low[-1:, 200:], width[-1:, 200:] = 0, 1 << precision
    begin = [rans.LEAST, *(rans.LEAST + int(generator.integers(1 << 32)) for _ in range(LANES - 1))]
    with pytest.MonkeyPatch.context() as patch:
        codes, decoders = [], []
        for cost in (0.0, math.inf):
            patch.setattr(SMALL, "cost", cost)
            codes.append(rans.encode(low, width, precision, begin))
            decoders.append(rans.Decoder(codes[0], LANES, precision))
        assert codes[0] == codes[1]
        decoder, plain = decoders
        for t in range(steps):
            assert np.array_equal(decoder.points(), plain.points())
            for one, cost in ((decoder, 0.0), (plain, math.inf)):
                patch.setattr(SMALL, "cost", cost)
                one.advance(low[t].astype(np.int64), width[t].astype(np.int64))
    assert decoder.states == plain.states == begin
    assert decoder.left == plain.left == 0


@pytest.mark.parametrize("block", [1, 8, 50])
def test_a_code_does_not_depend_on_how_many_symbols_are_prepared_at_a_time(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(6)
    widths = table(generator, 256, 24, 8.0)
    symbols = generator.integers(0, 256, (50, 3))
    low, width = (np.cumsum(widths) - widths)[symbols].astype(np.uint32), widths[symbols].astype(np.uint32)
    code = rans.encode(low, width, 24, [rans.LEAST] * 3)
    monkeypatch.setattr(rans, "_BLOCK", block)
    assert rans.encode(low, width, 24, [rans.LEAST] * 3) == code


@pytest.mark.parametrize("lanes", [1, LANES])
def test_the_compiled_search_finds_what_numpy_finds(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    generator = np.random.default_rng(8)
    rows = np.stack([table(generator, 256, 24, skew) for skew in generator.choice([0.0, 3.0, 40.0], LANES)])
    points = generator.integers(0, 1 << 24, LANES)
    points[:4] = 0, (1 << 24) - 1, rows[2, 0], rows[3, 0] - 1
    found = []
    for cost in (0.0, math.inf):
        monkeypatch.setattr(SMALL, "cost", cost)
        found.append(find(rows[:lanes], points[:lanes]))
    for compiled, plain in zip(*found, strict=True):
        assert np.array_equal(compiled, plain)


def test_a_symbol_that_owns_every_point_costs_nothing() -> None:
    low, width = np.zeros((1000, 2), np.uint32), np.full((1000, 2), 1 << 24, np.uint32)
    begin = [rans.LEAST + 5, (1 << 64) - 1]
    code = rans.encode(low, width, 24, begin)
    assert len(code) == 16
    decoder = rans.Decoder(code, 2, 24)
    for _ in range(1000):
        decoder.advance(low[0].astype(np.int64), width[0].astype(np.int64))
    assert decoder.states == begin


@pytest.mark.parametrize("cost", [0.0, math.inf])
def test_codes_that_are_cut_or_impossible_are_refused(cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SMALL, "cost", cost)
    low, width = np.zeros((100, 1), np.uint32), np.full((100, 1), 1 << 12, np.uint32)
    code = rans.encode(low, width, 24, [rans.LEAST])
    for wrong in (code[:7], code[:-1], b"\0" * len(code)):
        with pytest.raises(CorruptDataError):
            rans.Decoder(wrong, 1, 24)
    with pytest.raises(CorruptDataError, match="state that no encoder writes"):
        rans.Decoder(code[:8] + bytes(8), 2, 24)
    decoder = rans.Decoder(code[:-4], 1, 24)
    one = low[0].astype(np.int64), width[0].astype(np.int64)
    while decoder.left:
        decoder.advance(*one)
    with pytest.raises(CorruptDataError, match="ends before"):  # noqa: PT012 - which step it is depends on the state
        for _ in range(10):
            decoder.advance(*one)


def test_the_size_is_constrictions() -> None:
    constriction = pytest.importorskip("constriction")
    generator = np.random.default_rng(4)
    widths = table(generator, 256, 24, 6.0)
    probabilities = widths / (1 << 24)
    symbols = generator.choice(256, 20_000, p=probabilities)
    low = (np.cumsum(widths) - widths)[symbols].astype(np.uint32)[:, None]
    code = rans.encode(low, widths[symbols].astype(np.uint32)[:, None], 24, [rans.LEAST])
    coder = constriction.stream.stack.AnsCoder()
    model = constriction.stream.model.Categorical(probabilities, perfect=False)
    coder.encode_reverse(symbols.astype(np.int32), model)
    theirs = 4 * len(coder.get_compressed())
    information = -np.log2(probabilities[symbols]).sum() / 8
    assert information < len(code) <= information * 1.0005 + 8
    assert abs(len(code) - theirs) <= 8 + 0.0005 * theirs

"""The ways to write a byte, against the law that sums over them, and against all cuts of a short text."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from compgen.compressors import COMPRESSORS
from compgen.laws.deflate import LONGEST
from compgen.laws.lz77 import Lz77Law, Prices
from compgen.laws.parses import ways
from compgen.registry import Spec


def law_of(spec: str) -> Lz77Law:
    law = COMPRESSORS.build(Spec.parse(spec)).law()
    assert isinstance(law, Lz77Law)
    return law


@pytest.mark.parametrize("length", [0, 1, 2, 40, 255, 256, 1023, 1024, 1300, 3000])
def test_the_chance_of_a_byte_is_that_of_the_law(prose: bytes, length: int) -> None:
    law, context = law_of("gzip"), prose[:length]
    frequencies = law.start(context).frequencies()
    for symbol in (prose[length], ord("e"), ord("\xff")):
        found = ways(law, context, symbol)
        assert found is not None
        assert found.probability == pytest.approx(frequencies[symbol] / (1 << 24), rel=1e-2, abs=3e-7)
        assert found.literal + sum(source.share for source in found.sources) <= 1 + 1e-9
        assert sum(parse.share for parse in found.parses) <= 1 + 1e-9


def test_parses_are_the_likeliest_of_all_cuts() -> None:
    context, symbol = b"abcabcxabcab", ord("c")
    law = law_of("gzip")
    prices = law.prices(b"")
    assert isinstance(prices, Prices)
    text = context + bytes([symbol])
    literals, lengths = prices.literals / 2**20, prices.lengths / 2**20
    distances = prices.distances / 2**28

    def serving(begin: int, end: int) -> float:
        """The chance of a distance from which text[begin:end] can be copied; copies may overlap themselves."""
        return sum(
            float(distances[d]) for d in range(1, begin + 1) if all(text[i] == text[i - d] for i in range(begin, end))
        )

    @cache
    def cuts(begin: int) -> list[tuple[float, tuple[int, ...]]]:
        """The weights of all ways to write text[begin:] and more, and where their instructions begin."""
        if begin == len(text):
            return [(1.0, ())]
        found = [(literals[text[begin]] * w, (begin, *rest)) for w, rest in cuts(begin + 1)]
        for end in range(begin + 1, len(text)):
            price = float(lengths[end - begin]) * serving(begin, end)
            found += [(price * w, (begin, *rest)) for w, rest in cuts(end) if price]
        size = len(text) - begin
        last = float(lengths[size : LONGEST + 1].sum()) * serving(begin, len(text))
        return found + ([(last, (begin,))] if last else [])

    whole = sorted(cuts(0), reverse=True)
    total = sum(weight for weight, _ in whole)
    found = ways(law, context, symbol)
    assert found is not None
    for parse, (weight, begins) in zip(found.parses[:3], whole, strict=False):
        assert tuple(piece.begin for piece in parse.pieces) == begins
        assert parse.share == pytest.approx(weight / total, rel=1e-9)
    copies = {source.distance: source for source in found.sources}
    assert copies[7].run == 5
    assert max(copies.values(), key=lambda source: source.share).distance == 7
    single = sum(weight for weight, begins in whole if begins[-1] == len(context))
    # The last byte by itself is a literal, or a copy that begins there.
    assert found.literal < single / total


def test_formats_whose_prices_go_by_more_have_no_ways(prose: bytes) -> None:
    assert ways(law_of("xz"), prose[:600], prose[600]) is None


def test_a_piece_costs_what_its_prices_say() -> None:
    law, context = law_of("gzip"), b"wood chuck wood chu"
    found = ways(law, context, ord("c"))
    assert found is not None
    best = found.parses[0].pieces[-1]
    assert (best.begin, best.end, best.distance) == (11, 20, 11)
    prices = law.prices(b"")
    assert isinstance(prices, Prices)
    longer = prices.tails[8] / 2**20 * prices.distances[11] / 2**28
    assert best.bits == pytest.approx(-np.log2(longer))

"""The law of any compressor that copies what it has seen: prices fitted from its code lengths.

**Probes.** The window is encoded again and again, each time with another probe behind it. Half of the probes are
copies: 12 pieces of one length, each from a place in one octave of distances; L(window copies) - L(window), divided by
12, is the price of one. The other half are strange literals, no three of which occur in the window: half of each
probe's bytes are of one class of bytes (alike in how often the window has them), half are of the window at large. Exact
least squares over all of these probes give each class its price. No more than ``MOST_PROBES`` encodings make a fit.

**Fit.** Cells (length, octave) whose copies are cheaper than 0.92 of what their bytes cost as literals are matches.
Least squares over these cells give the price of a match, a + b * log2(distance) + g * log2(length). A compressor
without such cells has no matches; if it knows nothing (L(x) = 8 |x|), its law is uniform.

**Repeats.** LZMA, zstd and brotli have cheap codes for the last distance. Copies from one distance, a foreign byte
behind each, show it: where they are cheaper than the fit says by 3 bits or more, their price is fitted too,
a + g * log2(length).

**Share of matches.** Probes say what a match costs among matches and a literal among literals. How often one follows
the other is priced by each format in a way of its own (flags, literal runs, shared Huffman codes). So the end of the
window is parsed greedily by the fitted prices. The shares of literals, matches and repeats are those of the parse.

**Which compressors.** Block sorting and PPM do not copy. On a made text the law of a compressor that copies costs about
what the compressor itself does, or less; theirs costs far more. Law / own, 8 KB of context, 1,000 bytes
(``made_text``, then windows of enwik8, tinyshakespeare, progc, cp.html, fields.c, trans, kennedy.xls):

| | made | enwik8 | shakespeare | progc | html | C | trans | records |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| gzip | 0.89 | 0.99 | 0.89 | 0.92 | 0.94 | 0.94 | 0.91 | 1.16 |
| gzip:level=1 | 0.89 | 0.97 | 0.98 | 0.94 | 0.94 | 0.99 | 1.04 | 1.11 |
| zstd | 0.89 | 1.00 | 0.95 | 0.96 | 0.95 | 0.95 | 0.93 | 1.09 |
| zstd:level=19 | 0.95 | 1.03 | 0.99 | 0.98 | 1.01 | 1.04 | 1.01 | 1.29 |
| zstd-dict | 0.82 | 1.09 | 0.85 | 0.88 | 0.92 | 0.93 | 0.80 | 1.48 |
| xz | 0.96 | 1.13 | 0.96 | 0.95 | 1.03 | 1.06 | 0.99 | 2.45 |
| brotli | 0.92 | 1.05 | 0.90 | 0.95 | 0.91 | 1.06 | 0.98 | 1.44 |
| brotli:quality=11 | 1.02 | 1.39 | 1.05 | 0.99 | 1.04 | 1.17 | 1.05 | 2.74 |
| ppmd | 1.53 | 1.08 | 1.15 | 1.17 | 1.12 | 1.13 | 1.17 | 1.81 |
| bz2 | 2.10 | 1.04 | 1.39 | 1.01 | 1.07 | 1.03 | 0.97 | 1.31 |

The made text separates the two kinds; data of users does not, records least. So the made text decides, once for each
compressor, at ``MOST_MISFIT``. There the price of lengths is what the fit says; elsewhere it is bounded (``prices``).

All arithmetic from code lengths to prices is of whole numbers and fractions, so prices are the same on every machine.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from compgen.laws.base import PRECISION, NoLaw
from compgen.laws.lz77 import DISTANCE_BITS, LENGTH_BITS, LITERAL_BITS, Lz77Law, Prices, Renewals
from compgen.laws.parse import LONGEST, Fit, Parse, RepeatFit, parse
from compgen.laws.probes import LENGTHS, PIECES, Probes, made_text
from compgen.laws.repeats import MOST, NONE, Repeats
from compgen.powers import FRACTION, exp2, log2
from compgen.types import CodeLengths

MOST_PROBES = 128
"""Encodings of the window that a fit takes at most: 96 at 8 KB of text, 120 at 32 KB."""

MOST_MISFIT = 1.25
"""Bits of the law per bit of the compressor itself on made text, from which on there is no law; see above."""

RENEWALS = Renewals(first=256, every=8192)
"""Fits are renewed at powers of two, then every 8 KB: some two fits at 8 KB for the first 8 KB of a context."""

_WINDOW = 32768  # bytes of the context that are encoded for a fit, at most
_REACH = 65536  # bytes that a match may look back, at most
_BEFORE = 16384  # bytes of a static dictionary: with 8 KB brotli's law costs 1% more on text, with 32 KB as much
_LAST = 1024  # bytes at the window's end that a conditional compressor encodes too, to fill its tables
_CHEAPER = Fraction(92, 100)  # of literals' price: what is dearer is no match, or one that the encoder did not find
_FEWEST = 8  # cells of matches for a fit of three numbers
_STEEPEST = 3  # bits for each doubling of the length; dearer ones are of copies that a fast encoder saw in part
_FEWEST_REPEATS = 4  # lengths for a fit of two numbers
_SPARED = 3 << FRACTION  # bits that a repeated distance spares; Huffman codes spare less for a distance used often
_LEAST_PRICE = 1 << (FRACTION - 2)  # a quarter of a bit: least price of a literal
_BIT = 1 << FRACTION

LengthsOf = Callable[[bytes, Sequence[bytes]], CodeLengths]


@dataclass(frozen=True)
class FittedLaw:
    """The law of the compressor whose code lengths ``lengths`` gives.

    Args:
        lengths: as ``Compressor.code_lengths``: of a context and (n,) continuations, (n,) absolute bits.
        dictionary: text that it can copy from before any context, the likeliest last.
    """

    lengths: LengthsOf
    dictionary: bytes = b""

    def checked(self) -> Lz77Law:
        """Return the law.

        Raises:
            NoLaw: fitted prices do not explain this compressor's code lengths.
        """
        share = misfit(self)
        if share > MOST_MISFIT:
            raise NoLaw(
                f"the code lengths of this compressor are not those of literals and matches (fitted prices cost "
                f"{share:.2f} times its own bits on made text, above {MOST_MISFIT}), so it has no decoder's law; "
                "use --rule calibrated"
            )
        return self.unchecked()

    def unchecked(self, bounded: bool = True) -> Lz77Law:
        """Return the law whether it fits or not; see ``prices``."""
        return Lz77Law(functools.partial(prices, self, bounded=bounded), self.dictionary[-_BEFORE:], RENEWALS)


@functools.lru_cache(maxsize=64)
def misfit(law: FittedLaw) -> float:
    """Return the bits of the law per bit of the compressor itself on 1,000 bytes after 8 KB of made text."""
    text = made_text(8192 + 1000)
    known, span = text[:8192], text[8192:]
    own = law.lengths(known, [b"", span])
    _, width = law.unchecked(bounded=False).start(known).consume(np.frombuffer(span, dtype=np.uint8))
    return float((PRECISION - np.log2(width)).sum() / max(own[1] - own[0], 1.0))


@functools.lru_cache(maxsize=32)
def prices(law: FittedLaw, context: bytes, bounded: bool = True) -> Prices:
    """Return the prices after ``context``, from at most ``MOST_PROBES`` encodings of its last 32 KB.

    Where ``bounded``, lengths cost at most ``_STEEPEST`` bits for each doubling, whatever the fit says.
    """
    window = context[-_WINDOW:]
    if not window:
        return _prices_without_matches([_BIT * 8] * 256)
    probes = Probes(window)
    literals, copied, repeated = _measured(law.lengths, probes)
    fit = _fitted(probes, literals, copied, bounded)
    if fit is None:
        return _prices_without_matches(literals)
    fit = dataclasses.replace(fit, repeat=_fitted_repeat(probes, literals, fit, repeated))
    reach = min(len(law.dictionary[-_BEFORE:]) + 2 * max(len(context), RENEWALS.first), _REACH)
    return _prices(window, literals, fit, reach)


def _measured(lengths: LengthsOf, probes: Probes) -> tuple[list[int], dict[tuple[int, int], int], dict[int, int]]:
    """Return the 256 prices of literals, by (length, octave) that of a copy, and by length the cost of all repeats.

    All are in units of 2**-12 bits.
    """
    window = probes.window
    cut = len(window) - min(_LAST, len(window) // 2)
    before = window[cut:] + probes.lead
    again = [probe for _, probe, _ in probes.repeats.values()]
    asked = [b"", *probes.copies.values(), *again, *probes.literals]
    found = lengths(window[:cut], [before + probe for probe in asked])
    # Scaling by a power of two and rounding to whole numbers are exact on every machine.
    start, *bits = (int(units) for units in np.rint(found * _BIT))
    costs = [one - start for one in bits]
    copied = {cell: cost // PIECES for cell, cost in zip(probes.copies, costs, strict=False)}
    repeated = dict(zip(probes.repeats, costs[len(copied) :], strict=False))
    return _literal_prices(probes, costs[len(copied) + len(again) :]), copied, repeated


def _literal_prices(probes: Probes, costs: Sequence[int]) -> list[int]:
    """Return the 256 prices: least squares over the classes, and lines between these by log2 of the bytes' counts."""
    class_of = {byte: i for i, members in enumerate(probes.classes) for byte in members}
    rows = [[0] * len(probes.classes) for _ in probes.literals]
    for row, probe in zip(rows, probes.literals, strict=True):
        for byte in probe:
            row[class_of[byte]] += 1
    level = sum(costs) // sum(len(probe) for probe in probes.literals)
    wanted = [cost - level * len(probe) for cost, probe in zip(costs, probes.literals, strict=True)]
    price = [level + round(one) for one in least_squares(rows, wanted)]
    heights = [log2(2 * probes.window.count(byte) + 1) for byte in range(256)]
    middle = [sum(heights[byte] for byte in members) // len(members) for members in probes.classes]
    found = []
    for byte, height in enumerate(heights):
        seen = [i for i, place in enumerate(middle) if place > 0]
        if height == 0 or len(seen) == 1:  # never seen, or all that was seen is alike
            found.append(price[class_of[byte]])
            continue
        upper = min(max(bisect.bisect_right(middle, height), seen[1]), seen[-1])
        lower = upper - 1
        rise = (price[upper] - price[lower]) * (height - middle[lower]) // (middle[upper] - middle[lower])
        found.append(price[lower] + rise)
    return [max(one, _LEAST_PRICE) for one in found]


def least_squares(rows: Sequence[Sequence[int]], wanted: Sequence[int]) -> list[Fraction]:
    """Return the numbers whose sums, weighted by each row, miss ``wanted`` by the least squares; exactly.

    A thousandth of a square of each number is added, so that there always is an answer.
    """
    size = len(rows[0])
    matrix = [[Fraction(sum(row[i] * row[j] for row in rows)) for j in range(size)] for i in range(size)]
    right = [Fraction(sum(row[i] * one for row, one in zip(rows, wanted, strict=True))) for i in range(size)]
    for i in range(size):
        matrix[i][i] += Fraction(1, 1000)
    for i in range(size):  # the matrix is positive definite, so no pivot is zero
        for j in range(i + 1, size):
            factor = matrix[j][i] / matrix[i][i]
            matrix[j] = [below - factor * above for below, above in zip(matrix[j], matrix[i], strict=True)]
            right[j] -= factor * right[i]
    found = [Fraction(0)] * size
    for i in reversed(range(size)):
        known = sum((matrix[i][j] * found[j] for j in range(i + 1, size)), start=Fraction(0))
        found[i] = (right[i] - known) / matrix[i][i]
    return found


def _fitted(probes: Probes, literals: Sequence[int], copied: dict[tuple[int, int], int], bounded: bool) -> Fit | None:
    """Return the fit to the cells that are matches; None where they are too few."""
    cheap = {
        cell: price
        for cell, price in copied.items()
        if price < _CHEAPER * sum(literals[byte] for byte in probes.copies[cell]) / PIECES
    }
    shortest = [length for length in LENGTHS if 2 * _cells(cheap, length) >= max(_cells(copied, length), 1)]
    if len(cheap) < _FEWEST or not shortest:
        return None
    rows = [[_BIT, octave * _BIT, log2(length)] for length, octave in cheap]
    base, by_octave, by_length = least_squares(rows, list(cheap.values()))
    if bounded and by_length > _STEEPEST:
        rest = [price - _STEEPEST * row[2] for row, price in zip(rows, cheap.values(), strict=True)]
        (base, by_octave), by_length = least_squares([row[:2] for row in rows], rest), Fraction(_STEEPEST)
    return Fit(shortest[0], int(base * _BIT), max(by_octave, Fraction(0)), max(by_length, Fraction(0)))


def _fitted_repeat(probes: Probes, literals: Sequence[int], fit: Fit, costs: dict[int, int]) -> RepeatFit | None:
    """Return the fit to copies from the last distance; None where they are hardly cheaper than others.

    The first copy of a probe is a match; the others repeat its distance.
    """
    cheap, spared = {}, []
    for length, cost in costs.items():
        distance, probe, foreign = probes.repeats[length]
        match = fit.base + fit.of_distance(distance) + fit.of_length(length)
        outside = sum(literals[byte] for byte in foreign)
        as_literals = sum(literals[byte] for byte in probe) - outside
        price = (cost - outside - min(match, as_literals // PIECES)) // (PIECES - 1)
        if price < _CHEAPER * as_literals / PIECES:
            cheap[length] = max(price, _LEAST_PRICE)
            spared.append(match - price)
    if len(cheap) < _FEWEST_REPEATS or sum(spared) < _SPARED * len(spared):
        return None
    base, by_length = least_squares([[_BIT, log2(length)] for length in cheap], list(cheap.values()))
    return RepeatFit(min(cheap), int(base * _BIT), max(by_length, Fraction(0)))


def _cells(table: dict[tuple[int, int], int], length: int) -> int:
    return sum(one == length for one, _ in table)


def _prices_without_matches(literals: Sequence[int]) -> Prices:
    return Prices(_in_proportion(literals, 1 << LITERAL_BITS), np.zeros(2, np.int64), np.zeros(2, np.int64))


def _prices(window: bytes, literals: Sequence[int], fit: Fit, reach: int) -> Prices:
    """Return what the coder takes: literals and lengths sum to 1 together, distances by themselves."""
    found = parse(window, literals, fit)
    lengths = [fit.of_length(length) for length in range(fit.shortest, LONGEST + 1)]
    distances = [fit.of_distance(distance) for distance in range(1, reach + 1)]
    return Prices(
        _in_proportion(literals, int((1 - found.matches - found.repeats) * (1 << LITERAL_BITS))),
        np.append(
            np.zeros(fit.shortest, np.int64), _in_proportion(lengths, int(found.matches * (1 << LENGTH_BITS)), 0)
        ),
        np.append(np.int64(0), _in_proportion(distances, 1 << DISTANCE_BITS)),
        NONE if fit.repeat is None else _repeats(found, fit.repeat),
    )


def _repeats(found: Parse, fit: RepeatFit) -> Repeats:
    """Return the prices of repeats, and the distances that the parse used most."""
    often = sorted(found.distances, key=lambda distance: (-found.distances[distance], distance))
    lengths = [fit.of_length(length) for length in range(fit.shortest, LONGEST + 1)]
    return Repeats(
        np.array(sorted(often[:MOST]), dtype=np.int64),
        np.append(
            np.zeros(fit.shortest, np.int64), _in_proportion(lengths, int(found.repeats * (1 << LENGTH_BITS)), 0)
        ),
    )


def _in_proportion(units: Sequence[int], total: int, least: int = 1) -> NDArray[np.int64]:
    """Return integers in proportion to 2**-(units / 2**12), each ``least`` or more, that sum to about ``total``."""
    lowest = min(units)
    weights = [exp2(one - lowest) for one in units]
    everything = sum(weights)
    return np.array([max(weight * total // everything, least) for weight in weights], dtype=np.int64)

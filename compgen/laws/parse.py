"""A greedy parse of a window by fitted prices: how often its instructions are matches, and from which distances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from compgen.powers import FRACTION, log2

LONGEST = 258
"""The longest match, bytes; longer copies are several. The compiled loops are fastest with short tables."""

_LEAST_OCTAVE = 4  # nearer distances cost what 16 does: no probe fits there, and a line would give them nearly all
_PARSED = 2048  # bytes at the window's end that are parsed
_BIT = 1 << FRACTION


@dataclass(frozen=True)
class RepeatFit:
    """The price of a match from the last distance: base + by_length * log2(length), units of 2**-12 bits."""

    shortest: int
    base: int
    by_length: Fraction

    def of_length(self, length: int) -> int:
        """Return the part that depends on the length."""
        return int(self.by_length * log2(length))


@dataclass(frozen=True)
class Fit:
    """The price of a match: base + by_octave * log2(distance) + by_length * log2(length), units of 2**-12 bits.

    Attributes:
        shortest: the least length, bytes.
        base: see above.
        by_octave: see above.
        by_length: see above.
        repeat: the same for matches from the last distance, if these are cheaper.
    """

    shortest: int
    base: int
    by_octave: Fraction
    by_length: Fraction
    repeat: RepeatFit | None = None

    def of_length(self, length: int) -> int:
        """Return the part that depends on the length."""
        return int(self.by_length * log2(length))

    def of_distance(self, distance: int) -> int:
        """Return the part that depends on the distance: steps of half an octave."""
        halves = (distance * distance).bit_length() - 1
        return int(self.by_octave * max(halves * _BIT // 2 - _BIT // 4, _LEAST_OCTAVE * _BIT))


@dataclass(frozen=True)
class Parse:
    """How often each kind of instruction stands in a parse.

    Attributes:
        matches: the share of matches from new distances, with one more counted of each kind.
        repeats: the share of those from the last distance; 0 where they are no cheaper.
        distances: how often matches of either kind came from each.
    """

    matches: Fraction
    repeats: Fraction
    distances: Counter[int]


def parse(window: bytes, literals: Sequence[int], fit: Fit) -> Parse:
    """Return the parse of the window's end; ``literals`` are the 256 prices in units of 2**-12 bits."""
    here = max(len(window) - _PARSED, len(window) // 2)
    kinds = 2 if fit.repeat is None else 3
    matches, repeats, everything, last = 1, kinds - 2, kinds, 0
    distances: Counter[int] = Counter()
    while here < len(window):
        length, distance, saved = _best_match(window, here, literals, fit)
        again = _best_repeat(window, here, literals, fit.repeat, last)
        everything += 1
        if again[1] > saved:
            length, distance = again[0], last
            repeats += 1
        elif length:
            matches += 1
        if length:
            distances[distance] += 1
            last = distance
        here += max(length, 1)
    return Parse(Fraction(matches, everything), Fraction(repeats, everything), distances)


def _best_match(window: bytes, here: int, literals: Sequence[int], fit: Fit) -> tuple[int, int, int]:
    """Return length, distance and saving of the match that saves most, each length from its nearest distance."""
    best = 0, 0, 0
    cost = sum(literals[byte] for byte in window[here : here + fit.shortest - 1])
    for length in range(fit.shortest, min(LONGEST, len(window) - here) + 1):
        place = window.rfind(window[here : here + length], 0, here + length - 1)
        if place < 0:
            break
        cost += literals[window[here + length - 1]]
        saved = cost - fit.base - fit.of_distance(here - place) - fit.of_length(length)
        if saved > best[2]:
            best = length, here - place, saved
    return best


def _best_repeat(
    window: bytes, here: int, literals: Sequence[int], fit: RepeatFit | None, distance: int
) -> tuple[int, int]:
    """Return length and saving of the match from the last distance that saves most."""
    best, cost = (0, 0), 0
    if fit is None or not 0 < distance <= here:
        return best
    for length in range(1, min(LONGEST, len(window) - here) + 1):
        byte = window[here + length - 1]
        if byte != window[here + length - 1 - distance]:
            break
        cost += literals[byte]
        saved = cost - fit.base - fit.of_length(length)
        if length >= fit.shortest and saved > best[1]:
            best = length, saved
    return best

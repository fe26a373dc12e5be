"""The normalised compression distance (Cilibrasi and Vitanyi 2005), of two strings or of each pair of many.

NCD(a, b) = (L(ab) - min(L(a), L(b))) / max(L(a), L(b)), where L is the code length and ab is a followed by b. It is
near 0 for strings that are alike and near 1 for unrelated ones, if the compressor sees so far back that a copy of a
whole string costs it little. Whether it does is measured: the distance of a string to itself must be near 0.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.arguments import as_bytes, checked
from compgen.coding.ordered_pool import OrderedPool
from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor
from compgen.errors import BlindnessWarning, UsageError
from compgen.registry import Spec
from compgen.types import CodeLengths

_BLIND = 0.75
"""The distance of a string to itself above which the compressor is called blind. Chosen: on text, compressors that see
the first copy give at most 0.61 (ppmd, 770 KB), those that do not see it give 0.93 or more."""
_LEAST = 256
"""The least bits of a second copy for which a compressor is called blind. Chosen: of a short string, headers, block
ends and matches cost as much."""
_FAR_SIGHTED = "xz"
"""The compressor to name instead: it looks back 64 MB."""


@dataclass(frozen=True)
class Distances:
    """The distances between n strings.

    Attributes:
        compressor: whose code lengths they are.
        lengths: (n,) L of each string, bits.
        matrix: (n, n) distances. Row i, column j is NCD(i, j), from L of i followed by j; the diagonal is that of each
            string to itself, measured like the others.
        blindness: a sentence that says which string the compressor does not see a copy of; empty if it sees all.
    """

    compressor: Compressor
    lengths: CodeLengths
    matrix: NDArray[np.float64]
    blindness: str


@checked
def ncd(
    a: bytes | str,
    b: bytes | str,
    compressor: str | Spec | Compressor = "xz",
    *,
    symmetric: bool = False,
    header_free: bool = False,
) -> float:
    """Return the normalised compression distance of two strings; arguments and errors as in ``distances``.

    It measures six code lengths: of each string, and of both orders and both doubled strings. ``distances`` measures
    many strings with fewer.

    Warns:
        BlindnessWarning: the compressor does not see a copy of one of the strings, so the distance tells little.
    """
    names = "the first string", "the second string"
    found = distances((a, b), compressor, names=names, symmetric=symmetric, header_free=header_free)
    if found.blindness:
        warnings.warn(found.blindness, BlindnessWarning, stacklevel=3)  # past the check of the arguments
    return float(found.matrix[0, 1])


@checked
def distances(
    strings: Sequence[bytes | str],
    compressor: str | Spec | Compressor = "xz",
    *,
    names: Sequence[str] | None = None,
    symmetric: bool = False,
    header_free: bool = False,
    jobs: int = 1,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Distances:
    """Return the distance of each of n strings to each.

    That takes n + n * n code lengths; equal strings are measured once. Besides the strings, memory holds a few pairs
    and an encoder for each job.

    Args:
        strings: bytes, or text as UTF-8; one at least is not empty.
        compressor: a spec or a compressor.
        names: what messages call the strings. By default, string 1, string 2 and so on.
        symmetric: whether to take the mean of NCD(i, j) and NCD(j, i) for both.
        header_free: whether to measure L(x) - L(empty string) in place of L(x), which leaves out what a header costs.
        jobs: processes that measure side by side.
        watch: called with the number of bytes coded so far, and with the number of bytes to code.

    Raises:
        UsageError: all strings are empty, there are fewer than two, ``jobs`` is under 1, or the spec is wrong.
        CompgenError: the compressor failed.
    """
    names = names or [f"string {number}" for number in range(1, len(strings) + 1)]
    data = [as_bytes(string, name) for string, name in zip(strings, names, strict=True)]
    if len(data) < 2:
        raise UsageError(f"a distance needs two strings, not {len(data)}")
    if not any(data):
        raise UsageError("the distance of two empty strings is not defined; give some bytes")
    if jobs < 1:
        raise UsageError(f"jobs must be 1 or more, not {jobs}")
    if not isinstance(compressor, Compressor):
        compressor = COMPRESSORS.build(compressor)

    numbers: dict[bytes, int] = {}
    places = [numbers.setdefault(string, len(numbers)) for string in data]  # equal strings are measured once
    alone, joint = _measure(compressor, list(numbers), jobs, watch)
    if header_free:
        empty = compressor.code_length(b"")
        alone, joint = np.maximum(alone - empty, 0), np.maximum(joint - empty, 0)
    alone, joint = alone[places], joint[np.ix_(places, places)]
    shorter, longer = np.minimum.outer(alone, alone), np.maximum.outer(alone, alone)
    # Two strings without a code length, such as an empty one twice, are equal to the compressor.
    matrix = np.divide(joint - shorter, longer, out=np.zeros_like(joint), where=longer > 0)
    blindness = _blindness(compressor, data, names, matrix.diagonal(), joint.diagonal() - alone)
    if symmetric:
        matrix = (matrix + matrix.T) / 2
    return Distances(compressor, alone, matrix, blindness)


def _measure(
    compressor: Compressor, strings: Sequence[bytes], jobs: int, watch: Callable[[int, int], None]
) -> tuple[CodeLengths, NDArray[np.float64]]:
    """Return (n,) L of each string and (n, n) L of each pair, bits."""
    count = len(strings)
    keys: Iterable[tuple[int, ...]] = itertools.chain(
        itertools.product(range(count)), itertools.product(range(count), repeat=2)
    )
    alone, joint = np.zeros(count), np.zeros((count, count))
    done, total = 0, (1 + 2 * count) * sum(map(len, strings))
    for key, length in _lengths(compressor, strings, keys, jobs):
        (alone if len(key) == 1 else joint)[key] = length
        done += sum(len(strings[i]) for i in key)
        watch(done, total)
    return alone, joint


def _lengths(
    compressor: Compressor, strings: Sequence[bytes], keys: Iterable[tuple[int, ...]], jobs: int
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Yield each key with the code length of the strings that it numbers, one after the other, bits."""
    with OrderedPool(jobs) as pool:
        for key in keys:
            yield from pool.run(key, _length, compressor, [strings[i] for i in key])
        yield from pool.rest()


def _length(compressor: Compressor, parts: Sequence[bytes]) -> float:
    """Return L of ``parts``, one after the other, bits."""
    return compressor.code_length(b"".join(parts))


def _blindness(
    compressor: Compressor,
    strings: Sequence[bytes],
    names: Sequence[str],
    to_itself: NDArray[np.float64],
    again: NDArray[np.float64],
) -> str:
    """Return ``Distances.blindness``, which names the longest string that the compressor does not see a copy of.

    Args:
        compressor: the one that measured the code lengths.
        strings: n strings.
        names: their names.
        to_itself: (n,) the distance of each to itself.
        again: (n,) L(xx) - L(x), the bits of a second copy.
    """
    blind = [i for i in range(len(strings)) if to_itself[i] > _BLIND and again[i] > _LEAST]
    if not blind:
        return ""
    longest = max(blind, key=lambda i: len(strings[i]))
    others = len({strings[i] for i in blind}) - 1
    more = f", and likewise for {others} more" if others else ""
    said = (
        f"{compressor} hardly sees a copy of {names[longest]} ({len(strings[longest])} bytes): its distance to itself "
        f"is {to_itself[longest]:.3f} and should be near 0{more}; so a distance near 1 says little"
    )
    other = COMPRESSORS.build(_FAR_SIGHTED)
    if compressor.name == other.name:
        return said
    once, twice = other.code_length(strings[longest]), other.code_length(2 * strings[longest])
    seen = (twice - once) / once
    return f"{said}; by {other} it is {seen:.3f}" + (f", so use {other}" if seen <= _BLIND else ", which is no better")

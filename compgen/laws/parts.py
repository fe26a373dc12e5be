"""The parts of a law as distributions: what contexts of several lengths expect, each blended with the next shorter one.

Each of K contexts gives the bytes that followed it weights, and an *escape*, the weight of what never followed it. The
escape is shared out as the next shorter context expects; below the shortest stands a distribution that is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compgen.laws.base import SHARE_BITS

ORDERS = (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 24)
"""Lengths of contexts that are parts of a law, bytes. Chosen: dense where contexts are frequent."""

NUMBERS = (len(ORDERS), 64, 64)
"""How many contexts each number of ``contexts_apart`` tells apart."""


def blended(weights: NDArray[np.int64], escapes: NDArray[np.int64], lowest: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (1 + K, 256) shares of 2**SHARE_BITS: the lowest distribution, then each context, the shortest first.

    Args:
        weights: (K, 256) by context; no sum above 2**31. A context without weights passes on the shorter one.
        escapes: (K,) the weight of the shorter context, at most 2**32.
        lowest: (256,) shares.
    """
    shares = np.empty((len(weights) + 1, 256), dtype=np.int64)
    shares[0] = lowest
    blend(weights, escapes, SHARE_BITS, shares)
    return shares


def blend(weights: NDArray[np.int64], escapes: NDArray[np.int64], bits: int, shares: NDArray[np.int64]) -> None:
    """Fill all rows of (1 + K, 256) ``shares`` but the first; see ``blended``."""
    totals = weights.sum(axis=1)
    divisors = (totals + escapes).tolist()
    shifted = weights << bits
    for k, (total, divisor, escape) in enumerate(zip(totals.tolist(), divisors, escapes.tolist(), strict=True)):
        if not total:
            shares[k + 1 :] = shares[k]  # where a context has not occurred, no longer one has
            return
        np.multiply(shares[k], escape, out=shares[k + 1])
        shares[k + 1] += shifted[k]
        shares[k + 1] //= divisor


def contexts_apart(occurrences: list[int], followers: list[int]) -> list[int]:
    """Return three numbers below NUMBERS that tell contexts apart in which the parts deserve another trust.

    Args:
        occurrences: (K,) how often each of ORDERS has occurred, the shortest first.
        followers: (K,) how many distinct bytes followed it.
    """
    longest = max(sum(n > 0 for n in occurrences) - 1, 0)
    shorter = max(longest - 1, 0)
    seen = min(occurrences[longest].bit_length(), 4)
    of_longest, of_shorter = min(followers[longest], 3), min(followers[shorter], 4)
    last, last_two = (min(n.bit_length(), 7) for n in followers[1:3])
    apart = (max(of_longest, 1) - 1) * 16 + (max(of_shorter, 1) - 1) * 4 + max(seen, 1) - 1
    return [longest, apart, 8 * last + last_two]

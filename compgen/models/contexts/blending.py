"""From counts of what followed contexts to distributions, each blended with that of a shorter context.

    p_k(b) = (1 - e) * weight_k(b) / total_k + e * p_shorter(b)

The *escape* e is the share of the shorter context. It depends on how often the context occurred and how many different
bytes followed, and is learnt: after each byte it moves towards the posterior probability that the byte came from the
shorter context (online expectation maximisation of a mixture, as in Jelinek and Mercer's interpolation, 1980).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL
from compgen.models.contexts.occurrences import Counts
from compgen.models.quantise import SHARE_BITS

_ESCAPE_BITS = 16
"""Binary places of an escape. Chosen."""
_OCCURRED, _DISTINCT = 8, 5
"""Kinds of contexts that escapes tell apart: bit lengths of the number of occurrences, 1 to 8; of distinct followers 1,
2, 3, 4 and more. Chosen."""
KINDS = 1 + _OCCURRED * _DISTINCT
"""Kinds of contexts, by what followed them; 0 is one that has not occurred."""
_FIRST, _LIMIT = 24, 255
"""Bytes that the first value of an escape counts as, and the most that all bytes before count as. Chosen."""


def kinds(found: Counts) -> NDArray[np.int64]:
    """Return (K,) which of KINDS each context is."""
    kind = np.empty_like(found.sizes)
    _kinds(found.sizes, found.distinct, _OCCURRED, _DISTINCT, kind)
    return kind


def _kinds_by_numpy(
    sizes: NDArray[np.int64], distinct: NDArray[np.int64], most: int, spread: int, kind: NDArray[np.int64]
) -> None:
    occurred = np.minimum(np.frexp(sizes.astype(np.float64))[1], most) - 1  # frexp's exponent is the bit length
    kind[:] = np.where(sizes > 0, 1 + occurred * spread + np.minimum(distinct, spread) - 1, 0)


@SMALL.loop(fallback=_kinds_by_numpy)
def _kinds(sizes: Any, distinct: Any, most: Any, spread: Any, kind: Any) -> None:
    for k in range(len(sizes)):
        size, length = sizes[k], 0
        while size and length < most:
            size >>= 1
            length += 1
        kind[k] = 1 + (length - 1) * spread + min(distinct[k], spread) - 1 if length else 0


def first_escapes(count: int) -> NDArray[np.int64]:
    """Return (count, KINDS) escapes before any is learnt: of d followers of n occurrences 3/4 (d + 1) in n + that."""
    table = np.full((count, KINDS), 1 << _ESCAPE_BITS, dtype=np.int64)
    for kind in range(1, KINDS):
        occurred, distinct = divmod(kind - 1, _DISTINCT)
        followers = 3 * (distinct + 2)
        table[:, kind] = (followers << _ESCAPE_BITS) // (followers + (6 << occurred))
    return table


class Blend:
    """Distributions of K contexts, and the escapes that they learn.

    Args:
        shorter: (K,) number of the distribution that each context is blended with: 0 for the one that is given to
            ``shares``, k + 1 for that of context k.
        escapes: (K, KINDS) first escapes, in units of 2**-16.

    Attributes:
        escapes: (K, KINDS) escapes as they are now.
    """

    def __init__(self, shorter: NDArray[np.int64], escapes: NDArray[np.int64]) -> None:
        self._shorter = shorter
        self.escapes = escapes.copy()
        self._seen = np.full(escapes.shape, _FIRST, dtype=np.int64)
        self._is_frozen = False
        self._kinds: NDArray[np.int64] = np.zeros(len(shorter), dtype=np.int64)
        self._shares: NDArray[np.int64] = np.zeros((len(shorter) + 1, 256), dtype=np.int64)

    def fill(self, found: Counts, kind: NDArray[np.int64], shares: NDArray[np.int64]) -> None:
        """Fill the shares of the contexts: (1 + K, 256), of 2**SHARE_BITS. Row 0 is given.

        ``kind`` is (K,): what ``kinds(found)`` says.
        """
        _fill(found.weights, self._shorter, kind, self.escapes, _ESCAPE_BITS, SHARE_BITS, shares)
        self._kinds, self._shares = kind, shares

    def learn(self, symbol: int) -> None:
        """Move the escapes in use by ``symbol``, the byte that followed."""
        if not self._is_frozen:
            _learn(self._shares, self._shorter, self._kinds, symbol, _ESCAPE_BITS, _LIMIT, self.escapes, self._seen)

    def freeze(self) -> None:
        """Stop learning."""
        self._is_frozen = True

    def fork(self) -> Blend:
        """Return an independent copy. It must fill before it learns."""
        fork = Blend(self._shorter, self.escapes)
        fork._seen, fork._is_frozen = self._seen.copy(), self._is_frozen
        return fork


def _fill_by_numpy(
    weights: NDArray[np.int64],
    shorter: NDArray[np.int64],
    kinds: NDArray[np.int64],
    escapes: NDArray[np.int64],
    bits: int,
    share_bits: int,
    shares: NDArray[np.int64],
) -> None:
    escape = escapes[np.arange(len(kinds)), kinds]
    scale = (((1 << bits) - escape) << share_bits) // np.maximum(weights.sum(axis=1), 1)
    own = weights * scale[:, None] >> bits
    for k, (base, occurred) in enumerate(zip(shorter.tolist(), kinds.tolist(), strict=True)):
        if occurred:
            np.multiply(shares[base], escape[k], out=shares[k + 1])
            shares[k + 1] >>= bits
            shares[k + 1] += own[k]
        else:
            shares[k + 1] = shares[base]


@SMALL.loop(fallback=_fill_by_numpy)
def _fill(weights: Any, shorter: Any, kinds: Any, escapes: Any, bits: Any, share_bits: Any, shares: Any) -> None:
    for k in range(len(shorter)):
        base = shorter[k]
        if kinds[k] == 0:
            for b in range(256):
                shares[k + 1, b] = shares[base, b]
            continue
        total = 0
        for b in range(256):
            total += weights[k, b]
        escape = escapes[k, kinds[k]]
        scale = (((1 << bits) - escape) << share_bits) // total
        for b in range(256):
            shares[k + 1, b] = ((shares[base, b] * escape) >> bits) + ((weights[k, b] * scale) >> bits)


def _learn_by_numpy(
    shares: NDArray[np.int64],
    shorter: NDArray[np.int64],
    kinds: NDArray[np.int64],
    symbol: int,
    bits: int,
    limit: int,
    escapes: NDArray[np.int64],
    seen: NDArray[np.int64],
) -> None:
    rows = np.arange(len(kinds))
    escape = escapes[rows, kinds]
    posterior = (shares[shorter, symbol] * escape) // (shares[rows + 1, symbol] + 1)
    moved = escape + (posterior - escape) // seen[rows, kinds]
    escapes[rows, kinds] = np.where(kinds > 0, np.clip(moved, 16, (1 << bits) - 16), escape)
    seen[rows, kinds] = np.minimum(seen[rows, kinds] + 1, limit)


@SMALL.loop(fallback=_learn_by_numpy)
def _learn(shares: Any, shorter: Any, kinds: Any, symbol: Any, bits: Any, limit: Any, escapes: Any, seen: Any) -> None:
    for k in range(len(kinds)):
        kind = kinds[k]
        escape = escapes[k, kind]
        posterior = (shares[shorter[k], symbol] * escape) // (shares[k + 1, symbol] + 1)
        if kind:
            moved = escape + (posterior - escape) // seen[k, kind]
            escapes[k, kind] = min(max(moved, 16), (1 << bits) - 16)
        seen[k, kind] = min(seen[k, kind] + 1, limit)

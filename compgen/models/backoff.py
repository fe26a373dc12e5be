"""Backoff: counts of what followed the last few bytes. Derived distributions are compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compgen.errors import UsageError
from compgen.models.base import ALPHABET, ROW, ByteModel, State
from compgen.models.quantise import frequencies_from_weights
from compgen.types import Frequencies, Rows, Symbols

_HIGHEST_ORDER = 32
"""The highest order, bytes. Chosen: every order costs a dictionary entry for each byte read."""

_COUNT = 480
"""Bytes of memory of a context that was seen once. Measured: 300, and dictionaries double when they grow."""
_FULL = 12_000
"""Bytes of memory of a context that every byte has followed, at most."""


@dataclass(frozen=True)
class Backoff(ByteModel):
    """Counts of what followed each context of 0 to ``order`` bytes, in the context itself.

    p_k(b) = (count_k(b) + distinct_k * p_(k-1)(b)) / (total_k + distinct_k), where p_-1 is uniform. This is the
    escape of PPM method C (Moffat 1990), also known as Witten-Bell smoothing, with blending in place of exclusion.
    """

    order: int = 2

    name: ClassVar[str] = "backoff"

    def __post_init__(self) -> None:
        if not 0 <= self.order <= _HIGHEST_ORDER:
            raise UsageError(f"backoff:order must be between 0 and {_HIGHEST_ORDER}, not {self.order}")

    def memory(self, rows: int, length: int) -> int:
        """Return the bytes that the counts of ``rows`` rows take at most; see ``ByteModel.memory``."""
        contexts = sum(min((length + 1) * _COUNT, _FULL << 8 * order) for order in range(self.order + 1))
        return rows * (ROW + contexts)

    def start(self, prompts: Sequence[bytes]) -> BackoffState:
        """Return a state that has counted each prompt; equal prompts are counted once."""
        read = {prompt: _History({}, {}, b"") for prompt in prompts}
        for prompt, history in read.items():
            for symbol in prompt:
                history.count(symbol, self.order)
        return BackoffState(self.order, [_History(read[p].own, {}, read[p].recent) for p in prompts])


_Counts = dict[bytes, dict[int, int]]
"""For each context, how often each byte followed it."""


def _contexts(recent: bytes) -> list[bytes]:
    """Return the suffixes of ``recent``, of length 0 to ``len(recent)``."""
    return [recent[len(recent) - k :] for k in range(len(recent) + 1)]


class _History:
    """One row's counts.

    Attributes:
        base: counts of the prompt. Rows share them and never change them.
        own: the row's own counts; a context in ``own`` replaces the one in ``base``.
        recent: the last ``order`` bytes.
    """

    def __init__(self, base: _Counts, own: _Counts, recent: bytes) -> None:
        self.base = base
        self.own = own
        self.recent = recent

    def followers(self, context: bytes) -> dict[int, int]:
        """Return how often each byte followed ``context``."""
        return self.own.get(context) or self.base.get(context, {})

    def count(self, symbol: int, order: int) -> None:
        """Count ``symbol`` after each context, and append it."""
        for context in _contexts(self.recent):
            if context not in self.own:
                self.own[context] = dict(self.base.get(context, {}))
            followers = self.own[context]
            followers[symbol] = followers.get(symbol, 0) + 1
        recent = self.recent + bytes([symbol])
        self.recent = recent[max(0, len(recent) - order) :]

    def fork(self) -> _History:
        """Return an independent copy over the same base."""
        return _History(self.base, {c: dict(f) for c, f in self.own.items()}, self.recent)


class BackoffState(State):
    """Rows with counts of their own over the shared counts of their prompts."""

    def __init__(self, order: int, histories: list[_History]) -> None:
        self._order = order
        self._histories = histories

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._histories)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies, blended from the shortest context up."""
        one = 1 << 32
        weights = np.full((self.rows, ALPHABET), one // ALPHABET, dtype=np.int64)
        for row, history in enumerate(self._histories):
            for context in _contexts(history.recent):
                followers = history.followers(context)
                if not followers:
                    break
                total, distinct = sum(followers.values()), len(followers)
                blended = weights[row] * distinct
                blended[list(followers)] += np.fromiter(followers.values(), np.int64, distinct) * one
                weights[row] = blended // (total + distinct)
        return frequencies_from_weights(weights)

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row, and count it after each of the row's contexts."""
        for history, symbol in zip(self._histories, symbols.tolist(), strict=True):
            history.count(symbol, self._order)

    def fork(self, rows: Rows) -> BackoffState:
        """Return an independent state of the given rows, over the shared counts of their prompts."""
        return BackoffState(self._order, [self._histories[row].fork() for row in rows])

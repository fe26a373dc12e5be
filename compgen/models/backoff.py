"""Models that are no compressor's: what a derived distribution is compared against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compgen.errors import UsageError
from compgen.models.base import ALPHABET, PRECISION, ByteModel, State
from compgen.models.quantise import frequencies_from_weights
from compgen.types import Frequencies, Rows, Symbols


@dataclass(frozen=True)
class Uniform(ByteModel):
    """Every byte with probability 1/256: 8 bits per byte, always."""

    name: ClassVar[str] = "uniform"

    def start(self, prompts: Sequence[bytes]) -> UniformState:
        """Return a state; the prompts do not matter."""
        return UniformState(len(prompts))


class UniformState(State):
    """Nothing but a number of rows."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return self._rows

    def frequencies(self) -> Frequencies:
        """Return (B, 256) equal frequencies."""
        return np.full((self._rows, ALPHABET), (1 << PRECISION) // ALPHABET, dtype=np.int64)

    def extend(self, symbols: Symbols) -> None:
        """Forget the symbols."""

    def fork(self, rows: Rows) -> UniformState:
        """Return a state of as many rows as are given."""
        return UniformState(len(rows))


@dataclass(frozen=True)
class Backoff(ByteModel):
    """Counts of what followed the last 0 to ``order`` bytes, from the context itself.

    p_k(b) = (count_k(b) + distinct_k * p_(k-1)(b)) / (total_k + distinct_k), from p_-1 uniform: the
    escape of PPM method C (Moffat 1990) or Witten and Bell, with blending instead of exclusion.
    """

    order: int = 2

    name: ClassVar[str] = "backoff"

    def __post_init__(self) -> None:
        if not 0 <= self.order <= 32:
            raise UsageError(f"backoff:order must be between 0 and 32, not {self.order}")

    def start(self, prompts: Sequence[bytes]) -> BackoffState:
        """Return a state that has counted each prompt; equal prompts are counted once."""
        read = {prompt: _History({}, {}, b"") for prompt in prompts}
        for prompt, history in read.items():
            for symbol in prompt:
                history.count(symbol, self.order)
        return BackoffState(self.order, [_History(read[p].own, {}, read[p].recent) for p in prompts])


_Counts = dict[bytes, dict[int, int]]


def _contexts(history: bytes) -> list[bytes]:
    """Return the contexts of length 0 to ``len(history)`` that end where ``history`` ends."""
    return [history[len(history) - k :] for k in range(len(history) + 1)]


class _History:
    """Counts of the prompt, shared and never changed; this row's own, which replace them; the last bytes."""

    def __init__(self, base: _Counts, own: _Counts, recent: bytes) -> None:
        self.base = base
        self.own = own
        self.recent = recent

    def followers(self, context: bytes) -> dict[int, int]:
        return self.own.get(context) or self.base.get(context, {})

    def count(self, symbol: int, order: int) -> None:
        for context in _contexts(self.recent):
            if context not in self.own:
                self.own[context] = dict(self.base.get(context, {}))
            followers = self.own[context]
            followers[symbol] = followers.get(symbol, 0) + 1
        recent = self.recent + bytes([symbol])
        self.recent = recent[max(0, len(recent) - order) :]

    def copy(self) -> _History:
        return _History(self.base, {c: dict(f) for c, f in self.own.items()}, self.recent)


class BackoffState(State):
    """Rows with counts of their own over those of their prompts."""

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
        """Count each row's byte after each of its contexts."""
        for history, symbol in zip(self._histories, symbols.tolist(), strict=True):
            history.count(symbol, self._order)

    def fork(self, rows: Rows) -> BackoffState:
        """Return a state of the given rows; the counts of the prompts stay shared."""
        return BackoffState(self._order, [self._histories[row].copy() for row in rows])

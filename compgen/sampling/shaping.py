"""Change a distribution before drawing from it: penalties, temperature, top-k, top-p and min-p.

They are applied in this order, as in generation by transformers. Penalties are those of
``compgen.sampling.repetition``. Bytes of equal probability stay or go together, so
that the order of bytes breaks no tie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.types import Frequencies, Mask, Probabilities, Symbols


@dataclass(frozen=True)
class Shaping:
    """The temperature (0 is greedy), and top-k, top-p and min-p, each of which is off if it is None."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(f"temperature must be 0 (greedy) or a positive number, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top-k must be 1 or more bytes, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top-p must be above 0 and at most 1, not {self.top_p}")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise UsageError(f"min-p must be between 0 and 1, not {self.min_p}")

    def apply(
        self, frequencies: Frequencies, mask: Mask, penalties: NDArray[np.float64] | None = None
    ) -> Probabilities:
        """Return (B, 256) probabilities to draw from. They are zero where ``mask`` is False.

        ``penalties`` are (B, 256) bits to take from each log-probability.

        Raises:
            UsageError: ``mask`` leaves no byte to draw in some row.
        """
        if self == Shaping() and penalties is None:
            return _normalise(np.where(mask, frequencies, 0))
        levelled = np.where(mask, level(frequencies), 0)
        counts = levelled if penalties is None else _penalised(levelled, penalties)
        if self.temperature == 0:
            return _normalise(counts == counts.max(axis=1, keepdims=True))
        share = counts / counts.max(axis=1, keepdims=True)
        weights = share if self.temperature == 1 else share ** (1 / self.temperature)
        if self.top_k is not None and self.top_k < 256:
            last = np.partition(counts, -self.top_k, axis=1)[:, -self.top_k, None]
            weights = np.where(counts >= last, weights, 0)
        if self.top_p is not None and self.top_p < 1:
            order = np.argsort(-weights, axis=1)
            reached = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
            enough = (reached >= self.top_p * reached[:, -1:]).argmax(axis=1)[:, None]
            last = np.take_along_axis(counts, np.take_along_axis(order, enough, axis=1), axis=1)
            weights = np.where(counts >= last, weights, 0)
        if self.min_p is not None:
            weights = np.where(weights >= self.min_p * weights.max(axis=1, keepdims=True), weights, 0)
        return _normalise(weights)


def level(frequencies: Frequencies) -> Frequencies:
    """Return (B, 256) frequencies in which those that tie are equal.

    Equal code lengths share their probability to within one count, and that count is no preference. From the largest
    frequency down, those one count below the first of their group are raised to it.
    """
    levelled = frequencies.copy()
    for row in levelled:
        values = np.unique(row)[::-1].tolist()
        first = values[0]
        for value in values[1:]:
            if first - value == 1:
                row[row == value] = first
            else:
                first = value
    return levelled


def _penalised(counts: Frequencies, penalties: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (B, 256) weights, 1 for the largest of a row. Equal counts with equal penalties stay equal."""
    with np.errstate(divide="ignore"):  # a byte that is not allowed has -inf bits
        bits = np.log2(counts) - penalties
    best = bits.max(axis=1, keepdims=True)
    weights: NDArray[np.float64] = np.exp2(bits - np.where(np.isfinite(best), best, 0))
    return weights


def _normalise(weights: NDArray[np.float64] | NDArray[np.int64] | Mask) -> Probabilities:
    total: NDArray[np.float64] = weights.sum(axis=1, keepdims=True, dtype=np.float64)
    if not total.all():
        raise nothing_left()
    return weights / total


def nothing_left() -> UsageError:
    """Return the error of a sample that cannot go on."""
    return UsageError(
        "no byte is left that no-repeat-ngram and allow both permit; raise no-repeat-ngram, draw fewer bytes, or allow "
        "more of them"
    )


def draw(probabilities: Probabilities, uniform: NDArray[np.float64]) -> Symbols:
    """Draw a byte for each row by inversion. ``uniform`` is (B,) numbers in [0, 1); the result is (B,)."""
    ends = np.cumsum(probabilities, axis=1)
    # Rounding must not move a point to the row's total: a byte of probability zero would be drawn.
    points = np.minimum(uniform * ends[:, -1], np.nextafter(ends[:, -1], 0))
    symbols: Symbols = (ends <= points[:, None]).sum(axis=1).astype(np.uint8)
    return symbols

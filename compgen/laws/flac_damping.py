"""Predictors that would run away are damped, so that a law which feeds on its own sample keeps the level of the sound.

A fixed predictor of order 1 makes a random walk of random residuals, one of order 2 the sum of one, and linear
predictors are often as near to that: the encoder never meets what they make of noise. A FLAC decoder fed with random
bits therefore runs out of range. Here the coefficient of the sample i before is multiplied by g**i, with the largest g
of a list, 1 first, for which the predictor makes of its own residuals no more power than the sound has. (That is
bandwidth expansion; see Makhoul 1975, "Linear prediction: a tutorial review".) The power is that of the residuals
times 1 / product of (1 - r**2) over the reflection coefficients r, all of which must be below 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXTRA = 12
"""Bits that damped coefficients have more than the encoder's."""
_POINT = 40  # binary places of reflection coefficients and gains
_ONE = 1 << _POINT
_STEPS = range(13, 0, -1)  # g is 1, and then 1 - 2**-step


def damped(
    coefficients: NDArray[np.int64], shift: int, residual_power: int, power: int
) -> tuple[NDArray[np.int64], int]:
    """Return coefficients and shift of a predictor that keeps to ``power``.

    Args:
        coefficients: (order,) that of the last sample first.
        shift: bits that their sum is shifted right.
        residual_power: mean square of the residuals, times 12.
        power: mean square of the samples.
    """
    given = coefficients.tolist()
    lost = (1 << shift) - sum(given)  # of a constant, in units of 2**-shift
    # Random residuals are -1/2 on average, and rounding down takes as much.
    centred = lost > 0 and 4 << 2 * shift <= power * lost * lost
    if not given or (centred and _keeps(given, shift, residual_power, power)):
        return coefficients, shift
    tried = given
    for step in _STEPS:
        tried = [(one << EXTRA) * ((1 << step) - 1) ** i >> step * i for i, one in enumerate(given, 1)]
        if _keeps(tried, shift + EXTRA, residual_power, power):
            break
    return np.array(tried, dtype=np.int64), shift + EXTRA


def _keeps(coefficients: list[int], shift: int, residual_power: int, power: int) -> bool:
    """Return whether the predictor is stable, and makes no more than ``power`` of such residuals."""
    filter_ = [-(one << _POINT) >> shift for one in coefficients]
    left = _ONE  # the product of 1 - r**2
    while filter_:
        last = filter_.pop()
        rest = _ONE - (last * last >> _POINT)
        if abs(last) >= _ONE or rest <= 0:
            return False
        left = left * rest >> _POINT
        filter_ = [((a << _POINT) - last * b) // rest for a, b in zip(filter_, filter_[::-1], strict=True)]
    return residual_power << _POINT <= 12 * power * left


def residual_power(codes: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
    """Return twelve times the mean square of residuals that are random bits in such codes; see ``Subframe``.

    Under the Rice code with k it is 13 / 12 of 4**k for all k > 0, and 10 / 9 for k = 0; of n plain bits, 4**n / 12.
    """
    squares = [13 * 4**k if k >= 0 else 4 ** (-1 - k) for k in codes.tolist()]
    total: int = sum(one * size for one, size in zip(squares, sizes.tolist(), strict=True))
    return total // max(int(sizes.sum()), 1)

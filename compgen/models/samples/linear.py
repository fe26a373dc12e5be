"""Linear predictors by least squares that stay bounded when they are fed with their own output.

A predictor x[t] = sum of a[k] x[t-k] plus noise is *stable* if the roots of z**n - sum of a[k] z**(n-k) lie inside the
unit circle. Least squares does not ensure that. The step-down recursion (Levinson's, backwards) turns the coefficients
into reflection coefficients; the predictor is stable if each is below one in size, and the power of what it makes is
then the noise's, times the product of 1 / (1 - k**2) (Markel and Gray 1976, "Linear Prediction of Speech"). For rows of
a picture the same holds at each frequency along the row, where rows follow each other as samples do.

So there is a bound on loudness too. A predictor was fitted on samples of some power, and its errors have some power.
Fed with such errors it should not make more than the power of the samples. The equations of Yule and Walker would give
that exactly; least squares often gives a predictor that is stable and grows far louder.

Where a bound is missed, each coefficient is shrunk by its lag, a[k] * factor**k: all roots move inwards by the factor,
and resonances become broader. Everything is integer arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

POINT = 16
"""Binary places of coefficients. Chosen; products with samples stay far inside an int64."""
_LARGEST = 16
"""The largest coefficient, in size. Chosen: bounds what a system near singular can give."""
FINE = 48
"""Binary places of shares of power. Chosen: the step-down recursion loses a few at each of its steps."""
_LEAST = 1 << (FINE - 20)
"""The least share of a signal's power that its noise has: 2**-20. Chosen: 60 dB, more than any recording needs. It
bounds reflection coefficients by 1 - 2**-21 in size."""
_LOSSES = (0, *(math.isqrt(1 << k) for k in range(33)))
"""What a factor lacks of one, in units of 2**-16, least first: none, and 2**-16 to one by half octaves. Chosen: a tone
of 16 bits has roots within 2**-16 of the unit circle."""
_COSINES = (16384, 16069, 15137, 13623, 11585, 9102, 6270, 3196, 0)
"""cos(pi k / 16) for k of 0 to 8, in units of 2**-14."""


def solve(equations: list[list[int]], one: int, least: int) -> list[int]:
    """Return the n unknowns of n linear equations, in units of 1 / ``one``, by Gaussian elimination in fixed point.

    Args:
        equations: n rows of n + 1 integers: a symmetric, positive definite matrix, and the right-hand side.
        one: the unit of the unknowns.
        least: was added to the diagonal of the matrix, so that only rounding can make a pivot smaller.
    """
    size, places = len(equations), 32
    rows, least = [[number << 16 for number in row] for row in equations], least << 16
    for k, pivot in enumerate(rows):
        lead = max(pivot[k], least)
        for i in range(k + 1, size):
            if factor := (pivot[i] << places) // lead:
                rows[i][i:] = [a - ((factor * b) >> places) for a, b in zip(rows[i][i:], pivot[i:], strict=True)]
    unknowns = [0] * size
    for k in range(size - 1, -1, -1):
        known = sum(a * b for a, b in zip(rows[k][k + 1 : size], unknowns[k + 1 :], strict=True))
        found = (rows[k][size] * one - known) // max(rows[k][k], least)
        unknowns[k] = min(max(found, -_LARGEST * one), _LARGEST * one)
    return unknowns


def share_in_line(coefficients: Sequence[int]) -> int:
    """Return the share of a signal's power that its noise has, in units of 2**-FINE; 0 or less if it is not stable.

    Args:
        coefficients: (n,) coefficients of the n samples before, the latest first, in units of 2**-POINT.
    """
    one = 1 << FINE
    share, row = one, [coefficient << (FINE - POINT) for coefficient in coefficients]
    while row:
        reflection = row.pop()
        rest = one - (reflection * reflection >> FINE)
        share = share * rest >> FINE
        if share < _LEAST:
            return 0
        row = [((a << FINE) + reflection * b) // rest for a, b in zip(row, reversed(row), strict=True)]
    return share


def share_in_rows(coefficients: Sequence[int]) -> int:
    """Return the same for rows of a picture.

    Power is the mean over frequencies along the row, as in a picture 32 samples wide whose rows close to rings.

    Args:
        coefficients: (6,) of left, above, above left, above right, left of left, and above above.
    """
    left, up, corner, right, second, top = coefficients
    if not share_in_line([left, second]):
        return 0
    gain = 0
    for k in range(17):  # the frequency pi k / 16; those between 0 and pi count twice
        cos, sin = _cosine(k), _cosine(k - 8)
        cos2, sin2 = _cosine(2 * k), _cosine(2 * k - 8)
        # The row, 1 - left - left of left, and the row above, each a complex number in units of 2**-(POINT + 14).
        real, imaginary = (1 << (POINT + 14)) - left * cos - second * cos2, left * sin + second * sin2
        above, turned = (up << 14) + (corner + right) * cos, (right - corner) * sin
        twice = top << 14
        # Step-down of second order: both are over the row's own square.
        size = real * real + imaginary * imaginary - twice * twice
        x = above * real + turned * imaginary + twice * above
        y = turned * real - above * imaginary - twice * turned
        rest = size * size - x * x - y * y
        if size <= 0 or rest <= 0:
            return 0
        gain += ((size << (2 * POINT + 28 + FINE)) // rest) << (0 < k < 16)
    return (32 << (2 * FINE)) // (gain + 1)


def _cosine(k: int) -> int:
    """Return cos(pi k / 16), in units of 2**-14."""
    k = abs(k) % 32
    k = min(k, 32 - k)
    return _COSINES[k] if k <= 8 else -_COSINES[16 - k]


def stable(
    coefficients: Sequence[int], lags: Sequence[int], noise: int, power: int, share: Callable[[Sequence[int]], int]
) -> list[int]:
    """Return coefficients that are stable and no louder than what they were fitted on, shrunk as little as that takes.

    Args:
        coefficients: (n,) coefficients, in units of 2**-POINT.
        lags: (n,) exponents of the factor that shrinks each.
        noise: power of the errors, of any unit, 0 or more.
        power: power of the samples, of the same unit, 1 or more.
        share: takes coefficients to the share of the noise: what the bound is on.
    """
    least = max(min((noise << FINE) // power, 1 << FINE), _LEAST)
    if share(coefficients) >= least:
        return list(coefficients)
    low, high = 0, len(_LOSSES) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if share(_shrunk(coefficients, lags, _LOSSES[middle])) >= least:
            high = middle
        else:
            low = middle
    return _shrunk(coefficients, lags, _LOSSES[high])


def _shrunk(coefficients: Sequence[int], lags: Sequence[int], loss: int) -> list[int]:
    """Return (n,) coefficients times (1 - loss / 2**16)**lag."""
    powers = [1 << FINE]
    for _ in range(max(lags)):
        powers.append(powers[-1] * ((1 << 16) - loss) >> 16)
    return [coefficient * powers[lag] >> FINE for coefficient, lag in zip(coefficients, lags, strict=True)]

"""The five filters of PNG (W3C PNG, third edition, section 9), and the choice among them.

A *filter* predicts each byte of a row from bytes around it, and leaves the differences, its *residuals*: filter 0
predicts 0, filter 1 the byte to the left, filter 2 the one above, filter 3 the mean of these two, filter 4 (Paeth's)
whichever of left, above and corner is nearest to left + above - corner. "Left" is one pixel back. Beyond the picture
all bytes are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FILTERS = 5


def expected(lines: NDArray[np.uint8], pixel: int) -> list[NDArray[np.uint8]]:
    """Return what each filter predicts.

    Args:
        lines: (rows + 1, pixel + bytes) the row above, then the rows, each with a pixel of zeros on the left.
        pixel: bytes of a pixel.

    Returns:
        Five arrays (rows, bytes).
    """
    left, up, corner = lines[1:, :-pixel], lines[:-1, pixel:], lines[:-1, :-pixel]
    average = ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    return [np.zeros_like(left), left, up, average, paeth(left, up, corner)]


def paeth(left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return whichever of left, above and corner is nearest to left + above - corner (section 9.4)."""
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    by_left, by_up, by_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    other = np.where(by_up <= by_corner, up, corner)
    return np.where((by_left <= by_up) & (by_left <= by_corner), left, other)


def with_left(data: bytes, row: int, pixel: int) -> NDArray[np.uint8]:
    """Return (rows, pixel + row) bytes of whole rows, each with a pixel of zeros on the left."""
    lines = np.zeros((len(data) // row, pixel + row), dtype=np.uint8)
    lines[:, pixel:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, row)
    return lines


def filtered(data: bytes, above: bytes, pixel: int) -> bytes:
    """Return the rows of ``data``, each as the number of its filter and its residuals.

    Each row gets the filter that leaves the smallest sum of absolute values over the row's known bytes (the
    specification's advice, section 12.7). In a last row that is incomplete, the missing residuals are 0.

    Args:
        data: rows; the last may be incomplete.
        above: the row above the first.
        pixel: bytes of a pixel.
    """
    row = len(above)
    rows = -(-len(data) // row)
    if not rows:
        return b""
    missing = rows * row - len(data)
    lines = with_left(above + data + bytes(missing), row, pixel)
    left_over = np.stack([lines[1:, pixel:] - prediction for prediction in expected(lines, pixel)])
    left_over[:, -1, row - missing :] = 0
    # Absolute values of the differences as signed bytes.
    size = np.minimum(left_over, -left_over).sum(axis=2, dtype=np.int64)
    chosen = size.argmin(axis=0)
    coded = np.empty((rows, 1 + row), dtype=np.uint8)
    coded[:, 0] = chosen
    coded[:, 1:] = left_over[chosen, np.arange(rows)]
    return coded.tobytes()

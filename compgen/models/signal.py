"""Samples of sound and pictures: proposals that are moved to the level of the present.

A signal seldom repeats its bytes, but what its neighbours miss repeats: after like errors of prediction, like errors
follow. Each plane (a channel, or the high or low bytes of one) is predicted from its neighbours: in rows by LOCO-I's
median of left, above and left + above - corner (Weinberger et al. 2000, the predictor of JPEG-LS), in a line by the
last sample. The errors, folded so that near ones share high bits, have a history with contexts as bytes have; an
occurrence proposes the prediction of now with the error of then.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compgen.media.layout import MIDDLE
from compgen.models.history import Context, History

MOST = (512, 192, 96)
"""How many earlier errors count for each context."""

_FOLDED = np.array([2 * e if e < 128 else 2 * (256 - e) - 1 for e in range(256)], dtype=np.uint8)
"""The place of an error, modulo 256, in the order 0, -1, 1, -2, 2, ..."""

FAR = np.array([((1 << 30) >> 6 >> (place // 16)) + 64 for place in range(256)], dtype=np.int64)
"""Shares, out of some 2**28, of errors that were not made of late: they halve every eight levels."""


class Plane:
    """One plane's bytes so far, the folded errors of their prediction, and where like errors stood before.

    ``row`` is the samples between a byte and the one above it, 0 in a line. ``base``, in colours, is the plane before:
    what its prediction has just missed is expected to be missed again.
    """

    def __init__(self, data: bytes, row: int, base: Plane | None = None) -> None:
        self._row = row
        self.base = base
        self._margin = max(row + 1, 2)
        self._bytes = bytearray([MIDDLE] * self._margin) + data
        self._history = History(self._errors(), _contexts(row))
        self._prediction: int | None = None
        self._own = 0  # the prediction without the plane before

    def _errors(self) -> bytes:
        padded = np.frombuffer(bytes(self._bytes), dtype=np.uint8).astype(np.int64)
        here = np.arange(self._margin, len(padded))
        left = padded[here - 1]
        expected = _median(left, padded[here - self._row], padded[here - self._row - 1]) if self._row else left
        self.missed = padded[here] - expected
        if self.base is not None:
            expected = np.clip(expected + self.base.missed[: len(expected)], 0, 255)
        self.missed_last = int(self.missed[-1]) if len(here) else 0
        errors: bytes = _FOLDED[(padded[here] - expected) & 255].tobytes()
        return errors

    @property
    def prediction(self) -> int:
        """What the next byte is expected to be."""
        if self._prediction is None:
            data, row = self._bytes, self._row
            left = data[-1]
            if row:
                up, corner = data[-row], data[-row - 1]
                left = sorted((left, up, min(max(left + up - corner, 0), 255)))[1]
            self._own = left
            shift = 0 if self.base is None else self.base.missed_last
            self._prediction = min(max(left + shift, 0), 255)
        return self._prediction

    def append(self, symbol: int) -> None:
        """Add one byte."""
        self._history.append(int(_FOLDED[(symbol - self.prediction) & 255]))
        self.missed_last = symbol - self._own
        self._bytes.append(symbol)
        self._prediction = None

    @property
    def errors(self) -> bytes:
        """The folded errors so far, (n,) bytes."""
        return bytes(self._history.data)

    def occurrences(self) -> list[list[int]]:
        """Return the positions in ``errors`` that followed each context, the broadest first."""
        return [self._history.occurrences(number, most) for number, most in enumerate(MOST)]

    def places(self) -> NDArray[np.uint8]:
        """Return (256,) where each next byte stands among the folded errors."""
        places: NDArray[np.uint8] = _FOLDED[(np.arange(256) - self.prediction) & 255]
        return places

    def fork(self, base: Plane | None) -> Plane:
        """Return an independent copy, over a copy of the plane before."""
        fork = Plane.__new__(Plane)
        fork.__dict__.update(self.__dict__)
        fork.base = base
        fork._bytes = bytearray(self._bytes)
        fork._history = self._history.fork()
        return fork


def _contexts(row: int) -> tuple[Context, ...]:
    """Return contexts of the errors of neighbours: of two their size, of more of them, of two more exactly."""
    other = row or 2
    third = row - 1 if row > 2 else other + 1
    return (
        ((1, 0xF0), (other, 0xF0)),
        ((1, 0xF8), (other, 0xF8), (third, 0xF0)),
        ((1, 0xFC), (other, 0xFC)),
    )


def _median(left: NDArray[np.int64], up: NDArray[np.int64], corner: NDArray[np.int64]) -> NDArray[np.int64]:
    plane = np.clip(left + up - corner, 0, 255)
    middle: NDArray[np.int64] = np.maximum(np.minimum(left, up), np.minimum(np.maximum(left, up), plane))
    return middle

"""Samples of sound and pictures: proposals that are moved to the level of the present.

A signal seldom repeats its bytes, but what its neighbours miss repeats: after like errors of prediction, like errors
follow. Each plane (a channel, or the high or low bytes of one) is predicted from its neighbours: in rows by LOCO-I's
median of left, above and left + above - corner (Weinberger et al. 2000, the predictor of JPEG-LS), in a line by a
linear filter of the last samples that follows the signal (normalised least mean squares, Widrow and Hoff 1960), in
integers. The errors, folded so that near ones share high bits, have a history with contexts as bytes have; an
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


_TAPS = 16
_UNIT = 1 << 16  # a filter weight of one
_RATE = 1024  # of a filter's learning, in units of 1 / _UNIT


class Filter:
    """A linear prediction of the next sample from the last ``_TAPS``; it begins as the last sample itself."""

    def __init__(self) -> None:
        self._weights = np.zeros(_TAPS, dtype=np.int64)
        self._weights[-1] = _UNIT
        self._last = np.zeros(_TAPS, dtype=np.int64)  # around MIDDLE, the latest at the end

    def predict(self) -> int:
        """Return the byte that is expected."""
        return MIDDLE + min(max((int(self._weights @ self._last) + _UNIT // 2) // _UNIT, -MIDDLE), 255 - MIDDLE)

    def learn(self, symbol: int, expected: int) -> None:
        """Step towards having expected ``symbol``, and go on to the next."""
        energy = int(self._last @ self._last) + 64
        self._weights += self._last * ((symbol - expected) * _RATE) // energy
        self._last[:-1] = self._last[1:]
        self._last[-1] = symbol - MIDDLE

    def fork(self) -> Filter:
        """Return an independent copy."""
        fork = Filter()
        fork._weights[:] = self._weights
        fork._last[:] = self._last
        return fork


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
        self._filter = None if row else Filter()
        self._prediction: int | None = None
        self._own = 0  # the prediction without the plane before
        self._history = History(self._errors(), _contexts(row))

    def _errors(self) -> bytes:
        padded = np.frombuffer(bytes(self._bytes), dtype=np.uint8).astype(np.int64)
        here = np.arange(self._margin, len(padded))
        if self._filter is None:
            row = self._row
            expected = _median(padded[here - 1], padded[here - row], padded[here - row - 1])
        else:
            expected = np.empty(len(here), dtype=np.int64)
            for number, symbol in enumerate(padded[here].tolist()):
                expected[number] = self._filter.predict()
                self._filter.learn(symbol, int(expected[number]))
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
            if self._filter is None:
                left, up, corner = data[-1], data[-row], data[-row - 1]
                self._own = sorted((left, up, min(max(left + up - corner, 0), 255)))[1]
            else:
                self._own = self._filter.predict()
            shift = 0 if self.base is None else self.base.missed_last
            self._prediction = min(max(self._own + shift, 0), 255)
        return self._prediction

    def append(self, symbol: int) -> None:
        """Add one byte."""
        self._history.append(int(_FOLDED[(symbol - self.prediction) & 255]))
        if self._filter is not None:
            self._filter.learn(symbol, self._own)
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
        fork._filter = None if self._filter is None else self._filter.fork()
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

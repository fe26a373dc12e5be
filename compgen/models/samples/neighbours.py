"""Where the neighbours of a sample lie, by which it is predicted and the size of its error is told.

Offsets count samples back in the stream, all channels included. A *frame* holds one sample of each channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.models.samples.linear import share_in_line, share_in_rows, stable

LAGS = 16
"""In a line: earlier samples of the same channel that predict a sample. Chosen."""
_OTHER_LAGS = 4
"""In a line: samples of another channel that predict a sample. Chosen."""
_OTHERS = 2
"""Other channels that predict a sample. Chosen: the other two colours of a picture."""
_WIDE = 4
"""Frames of a row from which on the neighbours in rows are distinct. Narrower rows are bounded as a line."""


@dataclass(frozen=True)
class Neighbours:
    """The K neighbours that predict a sample of a channel: those of its own channel first, then of channels before.

    Channels before are never predicted from channels after. So the whole is stable if each is in its own samples.

    Attributes:
        offsets: (K,) samples back.
        lags: (K,) frames back in a line; in rows twice the rows back, and the samples to the left.
        own: neighbours of its own channel.
        width: frames in a row; 0 for a line.
    """

    offsets: NDArray[np.int64]
    lags: list[int]
    own: int
    width: int

    def stable(self, coefficients: list[int], noise: int, power: int) -> list[int]:
        """Return (K,) coefficients that are stable; see ``linear.stable``."""
        return stable(coefficients, self.lags, noise, power, self._share)

    def _share(self, coefficients: Sequence[int]) -> int:
        own = coefficients[: self.own]
        if self.width >= _WIDE:
            return share_in_rows(own)
        frames = self.offsets[: self.own] // self.offsets[0]
        line = [0] * int(frames.max())
        for frame, coefficient in zip(frames.tolist(), own, strict=True):
            line[frame - 1] = coefficient
        return share_in_line(line)


def neighbours(channel: int, channels: int, row: int) -> Neighbours:
    """Return the neighbours of a sample.

    Args:
        channel: the channel, from 0.
        channels: the number of channels.
        row: samples in a row; 0 for samples in a line.
    """
    width = row // channels
    if row:
        frames, others = [1, width, width + 1, width - 1, 2, 2 * width], [0, 1, width, width + 1]
    else:
        frames, others = list(range(1, LAGS + 1)), list(range(_OTHER_LAGS))
    frames = list(dict.fromkeys(frame for frame in frames if frame))
    offsets = [channels * frame for frame in frames]
    for before in range(1, min(channel, _OTHERS) + 1):
        offsets += [before + channels * frame for frame in dict.fromkeys(others)]
    lags = [offset // channels for offset in offsets]
    if width >= _WIDE:
        lags = [2 * ((lag + 1) // width) + (lag + 1) % width - 1 for lag in lags]
    return Neighbours(np.array(offsets, dtype=np.int64), lags, len(frames), width)


def around(channel: int, channels: int, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (n,) lags of the errors that tell the size of the next one, and (n,) weights; for arguments see above."""
    if row:
        found = [(channels, 3), (row, 3), (row + channels, 1), (max(row - channels, 1), 2), (2 * channels, 1)]
    else:
        found = [(channels * lag, weight) for lag, weight in enumerate((4, 3, 3, 2, 2, 2, 1, 1), 1)]
    found += [(before, 4) for before in range(1, min(channel, _OTHERS) + 1)]
    offsets, weights = np.array(found, dtype=np.int64).T
    return offsets, weights


def median_offsets(channel: int, channels: int, row: int) -> list[int]:
    """Return the lags of left, above and corner; and in the channel before, if any, of here, left, above and corner."""
    own = [channels, row, row + channels]
    return [*own, 1, *(1 + offset for offset in own)] if channel else own


def median(left: NDArray[np.int64], up: NDArray[np.int64], corner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the median of left, above and left + above - corner, for each sample."""
    middle: NDArray[np.int64] = np.maximum(np.minimum(left, up), np.minimum(np.maximum(left, up), left + up - corner))
    return middle

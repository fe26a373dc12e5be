"""Prices: the bits that a compressor charges for a span seen before.

A *span* is a continuation that followed an earlier occurrence of the present context. Its price is
L(context + span) - L(context), bits. Measuring every span would cost an encoding each. So spans are grouped by the
octave of their distance (the bit length of how many bytes back they lie), a few spans are measured now and then, and
each measurement moves the running mean of its octave.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor, Meter
from compgen.models.derived.effort import Effort
from compgen.models.derived.history import History
from compgen.powers import FRACTION

_SPAN = 8
"""Bytes of a measured span. Chosen: a shorter one tells little of what a match costs, a longer one rarely comes."""
_TAIL = 8
"""Bytes between a closed block and the present, at least. They are priced with each span, so that a match may begin
before the span. Chosen."""
_RENEW = 56
"""Bytes that go by before the block is closed anew. Chosen: a longer tail costs more to encode with every span, and a
closing copies the encoder."""
_OCTAVES = 64
"""Bit lengths of distances, all that an int64 can have."""
_FIRST = 16 << FRACTION
"""The price of an octave before its first measurement, units of 2**-FRACTION bits: two bits a byte. Chosen."""
_MEMORY = 5
"""A measurement moves its octave's price by 2**-5 of the difference. Chosen."""
_EXPONENT_SHIFT = 2
"""An occurrence counts 2**-(price / 2**2): the exponent a = 1/4 of docs/calibration.md. Chosen: 1, 1/2, 1/8 and 1/16
were within 0.012 bits per byte of it (docs/log.md, "the rate of the first 8 KB")."""
_MOST_WORTH = np.int64(1 << 16)
"""What an occurrence of the cheapest octave counts. Chosen: dearer octaves can count down to 2**-16 of it,
and sums stay under 2**53."""


class Prices:
    """The price of each octave of distance, and the anchor that measures prices.

    The *anchor* is a meter whose open block was closed 8 to 64 bytes ago: behind it a span costs microseconds to
    measure. It is None for a compressor that cannot close a block, whose spans the row's own meter measures.

    Attributes:
        table: (64,) prices by octave, units of 2**-FRACTION bits. It changes in place.
    """

    def __init__(self, compressor: Compressor, history: History, table: NDArray[np.int64] | None = None) -> None:
        self.table = np.full(_OCTAVES, _FIRST, dtype=np.int64) if table is None else table
        self._measured = len(history.data)  # where in the history's data prices were last measured
        self._anchored = max(history.begin, len(history.data) - _TAIL)  # where in it the anchor stands
        self._anchor = compressor.open(bytes(history.data[history.begin : self._anchored])).flushed()

    def worth(self) -> NDArray[np.int64]:
        """(64,) what an occurrence counts, by the octave of its distance: 2**16 for the cheapest octave."""
        worth: NDArray[np.int64] = _MOST_WORTH >> ((self.table - self.table.min()) >> (FRACTION + _EXPONENT_SHIFT))
        return worth

    def update(self, meter: Meter, history: History, occurrences: Sequence[list[int]], effort: Effort) -> None:
        """Measure a few spans, if the last measurement is ``effort.every`` bytes back.

        Args:
            meter: stands after ``history``.
            history: the window.
            occurrences: positions that followed each context, short contexts first. The latest positions of the
                longest contexts are measured.
            effort: how often to measure, and how many spans.
        """
        end = len(history.data)
        if end - self._measured < effort.every:
            return
        self._measured = end
        latest = dict.fromkeys(position for found in reversed(occurrences) for position in reversed(found))
        chosen = [position for position, _ in zip(latest, range(effort.spans), strict=False)]
        meter, behind = self._follow(meter, history)
        spans = [behind + history.span(position, _SPAN) for position in chosen]
        lengths = np.rint(meter.code_lengths([*spans, behind]) * (1 << FRACTION)).astype(np.int64)
        for position, price in zip(chosen, (lengths[:-1] - lengths[-1]).tolist(), strict=True):
            octave = (end - position).bit_length()
            self.table[octave] += (price - int(self.table[octave])) >> _MEMORY

    def _follow(self, meter: Meter, history: History) -> tuple[Meter, bytes]:
        """Return the meter that measures, and the bytes between it and the present; move the anchor if it is due."""
        if self._anchor is None:
            return meter, b""
        end = len(history.data)
        if end - self._anchored >= _RENEW + _TAIL:
            self._anchor.extend(bytes(history.data[self._anchored : end - _TAIL]))
            self._anchored = end - _TAIL
            self._anchor = self._anchor.flushed()
            assert self._anchor is not None  # noqa: S101 - a compressor that closed one block can close the next
        return self._anchor, bytes(history.data[self._anchored :])

    def fork(self) -> Prices:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork.table = self.table.copy()
        fork._anchor = None if self._anchor is None else self._anchor.fork()
        return fork

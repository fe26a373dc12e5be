"""The law of a PNG decoder: DEFLATE's law over filter bytes and residuals, and the five filters of the open row.

A PNG's rows are *filtered* (``png_filters.py``), and DEFLATE codes the stream of filter bytes and residuals. Fed with
random bits, a decoder of PNG so writes a filter byte f by DEFLATE's law, then residuals by the same law, and each
byte of the row is a residual plus what filter f predicts from the bytes around it. The filter byte does not show. Let
h be the stream of the rows before, and r(f, x) the residuals of the open row's bytes x under filter f. Then

    P(x) = sum over f of P(f r(f, x) | h)
    P(b | x) = sum over f of belief(f) P(residual of b | h f r(f, x)),   belief(f) = P(f r(f, x) | h), normalised

So the open row is five forward passes of DEFLATE's law (``lz77.py``), one for each filter, which begin as copies of one
and grow side by side. Two things are decided, not exact: in h, each row stands under the filter that the encoder itself
chooses for it, which is a function of the bytes alone (a decoder of random bits could have used any); and prices are
those of the encoder's own output for the bytes before, as in DEFLATE's law.

**Beginning anew.** As in DEFLATE's law, a pass begins a few hundred bytes before a place that depends on the number of
bytes alone, and prices are read there. Such places are the beginnings of rows. In a row of over 1,024 bytes, they are
also every 1,024 bytes; the beliefs then begin equal, and count the last few hundred bytes.

**Arithmetic.** Each distribution is 24-bit frequencies. A belief is a mantissa of 30 bits and an exponent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from compgen.jit import compiled_family
from compgen.laws.base import PRECISION, SHARE_BITS, Law, LawState, frequencies_of
from compgen.laws.deflate import REACH
from compgen.laws.forward import LOOPS
from compgen.laws.lz77 import Pass, Prices, Renewals
from compgen.laws.png_filters import FILTERS, expected, filtered, with_left
from compgen.types import Frequencies

_PASS = 1024  # bytes after which passes begin anew
_RUN_UP = 264  # bytes of the stream that they begin before that: more than the longest match, 258
_READ = 2 * REACH
"""Bytes of the stream that prices are read from, at most. Chosen: a window of gzip's law has as many."""
_BELIEF = 30
_ARRAYS = ("_data", "_runs", "_mantissas", "_exponents", "_begin")
_LONGEST = 4
"""The largest number that tells how long a match has run: 16 bytes or more."""
_OF_FIVE, _PRICES, _OF_A_BYTE = 5 * (384 << 10), 768 << 10, 5 * 24
"""Bytes of memory of the tables of five passes, of a set of prices, and of each byte of the stream in five passes."""

_BYTE_TIME = 1.4e-4
"""Seconds that a pass takes for a byte, without compiled loops. Measured: 1.4e-4 after 32 KB."""


@dataclass(frozen=True)
class PngLaw(Law):
    """The law of a PNG encoder whose prices ``prices`` finds for a stream of filtered rows.

    Attributes:
        row: bytes of a row, without its filter byte.
        pixel: bytes of a pixel.
        prices: of instructions, by the stream.
    """

    row: int
    pixel: int
    prices: Callable[[bytes], Prices]

    family: ClassVar[str] = "png"
    numbers: ClassVar[tuple[int, ...]] = (FILTERS, _LONGEST + 1)

    def state_memory(self, length: int) -> int:
        """Return the bytes of five passes over the end of ``length`` bytes, of prices, and of two rows."""
        return _OF_FIVE + _PRICES + _OF_A_BYTE * (min(length, REACH) + 2 * _PASS) + 4 * self.row

    @property
    def start_time(self) -> float:
        """Seconds of five passes over the open row, as far as a start reads it."""
        return _BYTE_TIME * FILTERS * (min(self.row, _PASS) + _RUN_UP)

    @property
    def parts_time(self) -> float:
        """See ``Law.parts_time``. Measured: 0.9 ms, of five passes."""
        return 9.5e-4

    def start(self, context: bytes) -> PngState:
        """Return the state after ``context``."""
        return PngState(self, context)

    def opened(self, length: int) -> tuple[int, int]:
        """Return the last place at or before ``length`` bytes at which passes begin anew, and the one that follows."""
        row = self.row
        if row < _PASS:
            renewals = Renewals(*(_power(max(size // (1 + row), 1)) for size in (_PASS // 4, _PASS)))
            here = renewals.last(length // row)
            return here * row, renewals.after(here) * row
        begin = length // row * row
        place = begin + (length - begin) // _PASS * _PASS
        return place, min(place + _PASS, begin + row)


def _power(number: int) -> int:
    """Return the largest power of two that is not above ``number``."""
    return 1 << (number.bit_length() - 1)


class PngState(LawState):
    """The context, and its open row under five filters."""

    def __init__(self, law: PngLaw, context: bytes) -> None:
        self._law = law
        self._context = bytearray(context)
        self._open()

    def _open(self) -> None:
        """Begin anew: a function of the bytes alone."""
        row, pixel, length = self._law.row, self._law.pixel, len(self._context)
        opened, self._next = self._law.opened(length)
        whole = length // row * row
        first = max(0, opened // row - -(-_READ // (1 + row)))  # the first row of the stream that is looked at
        stream = self._stream(first, max(opened, whole))
        here = (opened // row - first) * (1 + row) + (1 + opened % row if opened % row else 0)
        prices = self._law.prices(stream[max(0, here - _READ) : here])
        begin, room = max(0, here - _RUN_UP), _RUN_UP + self._next - opened + -(-(self._next - opened) // row)
        around = self._rows(whole)
        if opened <= whole:
            base = Pass(stream[max(0, begin - REACH) : begin], prices, room)
            base.append(np.frombuffer(stream[begin:], dtype=np.uint8))
            self._row = OpenRow.after(base, base.frequencies(), None, around, pixel)
        else:  # in the middle of a long row
            begin = opened - whole - _RUN_UP
            known, passes = stream[: -(1 + opened - whole)], []
            for number, predictions in enumerate(expected(around[::-1], pixel)):
                own = bytes([number]) + (around[0, pixel:] - predictions[0])[:begin].tobytes()
                passes.append(Pass((known + own)[-REACH:], prices, room))
            self._row = OpenRow.within(passes, around, pixel, begin)
            whole += begin
        self._row.read(np.frombuffer(bytes(self._context[whole:]), dtype=np.uint8))

    def _stream(self, first: int, end: int) -> bytes:
        """Return the rows of the context from ``first`` on, as the encoder filters them; ``end`` counts bytes."""
        row = self._law.row
        above = bytes(self._context[(first - 1) * row : first * row]) if first else bytes(row)
        coded = filtered(bytes(self._context[first * row : end]), above, self._law.pixel)
        return coded[: len(coded) - -end % row]

    def _rows(self, begin: int) -> NDArray[np.uint8]:
        """Return the row that begins at ``begin`` and the one above, both with a pixel of zeros on the left."""
        row = self._law.row
        known = bytes(self._context[max(0, begin - row) : begin + row])
        known = (bytes(row) if not begin else b"") + known
        return with_left(known + bytes(2 * row - len(known)), row, self._law.pixel)[::-1].copy()

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies; see ``LawState``."""
        return self._row.frequencies.copy()

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self._consume(np.array([symbol], dtype=np.uint8), None, None)

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; see ``LawState``."""
        low, width = np.empty(len(data), dtype=np.int64), np.empty(len(data), dtype=np.int64)
        self._consume(data, low, width)
        return low, width

    def _consume(self, data: NDArray[np.uint8], low: Any, width: Any) -> None:
        done = 0
        while done < len(data):
            length = len(self._context)
            end = min(self._next, length // self._law.row * self._law.row + self._law.row)
            part = slice(done, done + end - length)
            if low is None:
                self._row.read(data[part])
            else:
                self._row.read(data[part], low[part], width[part])
            self._context += data[part].tobytes()
            done = part.stop
            if len(self._context) == self._next:
                self._open()
            elif len(self._context) == end:
                self._row = self._row.next()

    def parts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return what each filter expects, and the law; then which filter is believed most, and how long it copies.

        The last number is the bit length of its longest match so far, less one: 4 for 16 bytes or more.
        """
        most = self._row.believed
        run = min(int(self._row.longest[most]).bit_length() - 1, _LONGEST)
        parts = np.vstack([self._row.shifted(), self._row.frequencies])
        return parts << (SHARE_BITS - PRECISION), [most, run]

    def fork(self) -> Self:
        """Return an independent state."""
        fork = self._sharing()
        fork._context = self._context.copy()
        fork._row = self._row.fork()
        return fork


class OpenRow:
    """A row whose bytes are read one after the other, under each filter.

    Args:
        passes: of DEFLATE's law, one for each filter, equally long. Their arrays are copied.
        links: see ``lz77_loops.link``, the same for each of ``passes``; None if loops have not run.
        around: (2, pixel + row) the row, as far as it is known, and the row above, with a pixel of zeros on the left.
        pixel: bytes of a pixel.

    Attributes:
        frequencies: (256,) of the next byte.
        parts: (5, 256) of the next residual under each filter.
        longest: (5,) how long the longest match of each has run; 1 if no longer than that.
    """

    def __init__(self, passes: list[Pass], links: Any, around: NDArray[np.uint8], pixel: int) -> None:
        self._around = around
        self._pixel = pixel
        self._column = -1
        self.frequencies = np.zeros(256, dtype=np.int64)
        self.parts = np.zeros((FILTERS, 256), dtype=np.int64)
        self.longest = np.ones(FILTERS, dtype=np.int64)
        self._belief = np.zeros((2, FILTERS), dtype=np.int64)
        self._links = links
        self._arrays = [np.stack([getattr(one, name) for one in passes]) for name in _ARRAYS]
        self._passes = self._side_by_side(passes)

    @classmethod
    def after(
        cls, base: Pass, expected_next: NDArray[np.int64], links: Any, around: NDArray[np.uint8], pixel: int
    ) -> Self:
        """Return the row that begins where ``base`` stands, which expects its filter byte as given, (256,)."""
        row = cls([base] * FILTERS, links, around, pixel)
        row._belief[0] = 1 << _BELIEF
        for number, frequency in enumerate(expected_next[:FILTERS].tolist()):
            row._believe(number, frequency)
        row.read(np.zeros(1, dtype=np.uint8))
        return row

    @classmethod
    def within(cls, passes: list[Pass], around: NDArray[np.uint8], pixel: int, column: int) -> Self:
        """Return a row of which ``passes`` have read ``column`` bytes. Beliefs begin equal."""
        row = cls(passes, None, around, pixel)
        row._belief[0] = 1 << (_BELIEF - 1)
        row._column = column
        row.parts[:] = [one.frequencies() for one in passes]
        row._mix()
        return row

    def next(self) -> Self:
        """Return the row below this one, which is complete. It stays under the filter that the encoder chooses."""
        line, above = self._around[:, self._pixel :]
        chosen = filtered(line.tobytes(), above.tobytes(), self._pixel)[0]
        around = np.stack([np.zeros_like(self._around[0]), self._around[0]])
        links = self._links
        if links is not None:
            links = tuple(one if one.ndim == 1 else one[[chosen] * FILTERS] for one in links)
        return self.after(self._passes[chosen], self.parts[chosen], links, around, self._pixel)

    @property
    def believed(self) -> int:
        """The filter that is believed most."""
        return int(self._weights().argmax())

    def shifted(self) -> NDArray[np.int64]:
        """Return (5, 256) frequencies of the next byte under each filter."""
        return np.stack([np.roll(one, shift) for one, shift in zip(self.parts, self._predictions(), strict=True)])

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = copy.copy(self)
        for name in ("_around", "frequencies", "parts", "longest", "_belief"):
            setattr(fork, name, getattr(self, name).copy())
        if self._links is not None:
            fork._links = tuple(one.copy() for one in self._links)
        fork._arrays = [array.copy() for array in self._arrays]
        fork._passes = fork._side_by_side(self._passes)
        return fork

    def _side_by_side(self, passes: list[Pass]) -> list[Pass]:
        """Return copies of ``passes`` whose arrays are rows of common ones, which loops get at once."""
        copies = [copy.copy(one) for one in passes]
        for number, one in enumerate(copies):
            one._links = None
            one._last = one._last.copy()
            for name, array in zip(_ARRAYS, self._arrays, strict=True):
                setattr(one, name, array[number])
        return copies

    def read(self, data: NDArray[np.uint8], low: Any = None, width: Any = None) -> None:
        """Read (T,) bytes, and fill (T,) ``low`` and ``width`` with their intervals, if given.

        In column -1, one byte stands for the number of each filter.
        """
        if LOOPS.run_compiled:
            self._compiled(data, low, width)
            return
        with LOOPS.fallback():
            self._links = None
            for step, symbol in enumerate(data.tolist()):
                if low is not None:
                    low[step], width[step] = self.frequencies[:symbol].sum(), self.frequencies[symbol]
                self._append(symbol)

    def _compiled(self, data: NDArray[np.uint8], low: Any, width: Any) -> None:
        from compgen.laws import lz77_loops, png_loops

        first = self._passes[0]
        prices, repeats = first._prices, first._prices.repeats
        if self._links is None:
            self._links = png_loops.link_filters(self._arrays[0], first.end, prices.distances)
        nothing = np.empty(0, dtype=np.int64)
        follow = compiled_family(lz77_loops, png_loops)["follow_filters"]
        data_of, *state = self._arrays
        follow(
            data,
            self._column,
            first.end,
            first._origin,
            self._pixel,
            self._around,
            data_of,
            self._links,
            tuple(state),
            (prices.literals, prices.lengths, prices.tails, prices.distances, prices.changes, prices.steps),
            (repeats.distances, repeats.lengths, repeats.tails, first._last.masses, first._last.runs),
            (self._belief, self.parts, self.longest),
            nothing if low is None else low,
            nothing if width is None else width,
            self.frequencies,
        )
        self._column += len(data)
        for one in self._passes:
            one.end += len(data)

    def _append(self, symbol: int) -> None:
        """Read one byte, without compiled loops."""
        for number, (one, prediction) in enumerate(zip(self._passes, self._predictions(), strict=True)):
            residual = number if self._column < 0 else (symbol - prediction) & 255
            if self._column >= 0:
                self._believe(number, int(self.parts[number, residual]))
            one._append(residual)
            self.parts[number] = frequencies_of(one._weights())
            self.longest[number] = one._active()[1].max(initial=1)
        if self._column >= 0:
            self._around[0, self._column + self._pixel] = symbol
        self._column += 1
        self._mix()

    def _believe(self, number: int, frequency: int) -> None:
        """Multiply the belief in a filter by a frequency."""
        product = int(self._belief[0, number]) * frequency
        shift = product.bit_length() - _BELIEF
        self._belief[0, number] = product >> shift if shift > 0 else product << -shift
        self._belief[1, number] += shift

    def _weights(self) -> NDArray[np.int64]:
        """Return (5,) beliefs in a common unit."""
        mantissas, exponents = self._belief
        weights: NDArray[np.int64] = mantissas >> np.minimum(exponents.max() - exponents, 62)
        return weights

    def _predictions(self) -> list[int]:
        """Return what each filter predicts of the next byte."""
        column, pixel = self._column, self._pixel
        if not 0 <= column < self._around.shape[1] - pixel:
            return [0] * FILTERS
        return [int(one[0, 0]) for one in expected(self._around[::-1, column : column + pixel + 1], pixel)]

    def _mix(self) -> None:
        """Find the frequencies of the next byte, if the row has one."""
        if self._column < self._around.shape[1] - self._pixel:
            self.frequencies = frequencies_of(self._weights() @ self.shifted())

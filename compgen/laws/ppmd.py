"""The law of PPMd, variant H: the chances of each next byte in its own model, exactly.

PPMd (D. Shkarin 2002, "PPM: one step to practicality", DCC; variant H as in 7-zip's public-domain Ppmd7, which pyppmd
wraps) is a model and a range coder. A *context* is what followed the same last bytes before, up to ``order`` of them.
The byte is looked up in the longest context that is known. If that does not know the byte, the coder writes an
*escape*, and the context with one byte less is asked for the bytes that are left. The context of no bytes knows all.

- A context with one byte takes the chance of that byte from a table, ``bins``, by its frequency and what came before.
- A context with several takes frequencies, and what its total has beyond them is the escape's.
- After an escape the frequency of a further one is estimated by ``see_totals``, shared among contexts alike (Shkarin's
  secondary escape estimation), and the bytes that longer contexts know are left out (they are *masked*).

The probability of a byte is the product of these fractions, integers all. ``weigh`` in ``ppmd_loops.py`` walks down the
escapes once and gives all 256 of them in units of 2**-62. The context of no bytes may escape too, to an end mark
that is never written: all bytes get that share in proportion.

That it is the same model is tested to the last byte: a range coder that it drives writes what pyppmd writes.

**Memory.** 7-zip's model forgets everything when its memory is full. This one does not, so it is the law of PPMd only
while ``PpmdState.fits(memory)``. The table says after how many bytes of input that ends, in 1 MB of memory. 7-zip's
model starts anew after 3 to 30% more bytes, measured by where pyppmd's code parts from that of a model without a limit.

| order | novel | enwik8 | C source | program | noise | made to be bad |
| --- | --- | --- | --- | --- | --- | --- |
| 2 | > 152,000 | > 600,000 | > 39,000 | > 246,000 | 37,600 | 40,900 |
| 6 | 86,700 | 83,200 | > 39,000 | 73,200 | 37,600 | 40,900 |
| 16 | 40,400 | 37,600 | 31,400 | 35,800 | 37,600 | 14,500 |
| 64 | 36,600 | 28,100 | 24,300 | 14,500 | 37,600 | 11,200 |

So the law, too, starts anew: every 4,096 bytes it asks ``fits``, and if it does not, the model reads the last half of
its bytes again. Within the window that ``Ppmd.law_window`` gives this was not seen to happen. ``safe_length`` bounds
where it may, for all input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from compgen.laws.base import PRECISION, SHARE_BITS, Law, LawState
from compgen.laws.parts import NUMBERS, blended, contexts_apart
from compgen.laws.ppmd_model import Model, free_units
from compgen.types import Frequencies

_CHECKED_EVERY = 4096
"""Bytes between two questions whether the memory still suffices. Chosen: the answer costs a pass over free lists."""


def safe_length(order: int, memory: int) -> int:
    """Return how many bytes, whatever they are, PPMd of ``order`` reads in ``memory`` bytes without a new start.

    Each byte creates ``order`` contexts at most, of one unit (12 bytes) each. It adds one state to a context on average
    at most, since each state added shortens the context by a byte, and a byte lengthens it by one. States move to a
    larger block once for each 8 added, where blocks are largest: 128 units, so 16 for a state. Bytes dropped by a
    halving may come back and cost such a block: 8 units for each of the 16 bytes at least between two halvings. One
    more is for the first halving of a context.
    """
    return max((free_units(memory) - 129) // (order + 25), 0)


@dataclass(frozen=True)
class PpmdLaw(Law):
    """The law of PPMd.

    Attributes:
        order: bytes of the longest context, 2 to 64.
        memory: bytes; see above.
    """

    family: ClassVar[str] = "ppmd"
    numbers: ClassVar[tuple[int, ...]] = NUMBERS

    order: int = 6
    memory: int = 16 << 20

    def state_memory(self, length: int) -> int:
        """Return the bytes of a model after ``length`` bytes: its arrays are up to eight times as large as 7-zip's.

        A byte adds at most ``order`` contexts of 16 bytes and about as many states of 7. Arrays double when they grow,
        and have room for one more byte of the worst kind, which moves 256 states in each context.
        """
        worst = 256 * 7 * (self.order + 1)
        return (128 << 10) + 2 * worst + min(64 * (self.order + 1) * length, 8 * self.memory)

    def start(self, context: bytes) -> PpmdState:
        """Return the state after ``context``, all of which the model reads."""
        return PpmdState(self, context)


class PpmdState(LawState):
    """A model that has read the context."""

    def __init__(self, law: PpmdLaw, context: bytes) -> None:
        self._law = law
        self._model = Model(law.order)
        self._read = bytearray()  # by the model
        self._frequencies: Frequencies | None = None
        nothing = np.empty(0, dtype=np.int64)
        self._consume(np.frombuffer(context, dtype=np.uint8), nothing, nothing)

    def fits(self, memory: int) -> bool:
        """Return whether PPMd in ``memory`` bytes has surely not started anew on the bytes so far."""
        return self._model.fits(memory)

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies; see ``LawState``."""
        if self._frequencies is None:
            self._frequencies = self._model.frequencies()
        return self._frequencies

    def parts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return what contexts of ORDERS expect, each blended with the shorter one; and the law as a whole."""
        weights, escapes, times, known = self._model.contexts()
        shares = blended(weights, escapes, np.full(256, 1 << (SHARE_BITS - 8)))
        whole = self.frequencies() << (SHARE_BITS - PRECISION)
        return np.vstack([shares[1:], whole]), contexts_apart(times.tolist(), known.tolist())

    def append(self, symbol: int) -> None:
        """Append one byte."""
        nothing = np.empty(0, dtype=np.int64)
        self._consume(np.array([symbol], dtype=np.uint8), nothing, nothing)

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; see ``LawState``."""
        low, width = np.empty(len(data), dtype=np.int64), np.empty(len(data), dtype=np.int64)
        self._consume(data, low, width)
        return low, width

    def _consume(self, data: NDArray[np.uint8], low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Append ``data``; fill ``low`` and ``width`` unless they are empty."""
        self._frequencies = None
        done = 0
        while done < len(data):
            part = slice(done, done + _CHECKED_EVERY - len(self._read) % _CHECKED_EVERY)
            self._model.append(data[part], low[part], width[part])
            self._read += data[part].tobytes()
            done = part.stop
            if len(self._read) % _CHECKED_EVERY == 0 and not self.fits(self._law.memory):
                self._start_anew(bytes(self._read[len(self._read) // 2 :]))

    def _start_anew(self, context: bytes) -> None:
        self._model = Model(self._law.order)
        self._model.append(np.frombuffer(context, dtype=np.uint8))
        self._read = bytearray(context)

    def fork(self) -> Self:
        """Return an independent state."""
        fork = self._sharing()
        fork._model = self._model.fork()
        fork._read = self._read.copy()
        return fork

"""Open states: each keystroke extends the state after the text before it, so that no text is read twice."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.errors import LimitError
from compgen.models.base import PRECISION, ByteModel, State
from compgen.playground.limits import MEMORY, READING

STEP = 512
"""Bytes. A reading begins at a multiple of so many, with so many or more before the end. Chosen: some lines of text."""


_SLICE = 0.1
"""Seconds of a part of a reading; after each one the clock is looked at. Chosen."""


@dataclass(frozen=True)
class Reading:
    """A model that has read a text.

    Attributes:
        begin: the position from which on the model read byte by byte.
        text: all bytes.
        bits: (n,) surprisals of the bytes from ``begin`` on, bits.
        state: the state after all of them, which belongs to this reading.
    """

    begin: int
    text: bytes
    bits: NDArray[np.float64]
    state: State


def begin_of(text: bytes) -> int:
    """Return where a reading of ``text`` begins. It depends on the length alone."""
    return max(0, len(text) // STEP * STEP - STEP)


def _consumed(state: State, text: bytes) -> Iterator[NDArray[np.float64]]:
    """Extend a state by ``text``, and yield the surprisals of its parts, bits.

    Raises:
        LimitError: it takes too long.
    """
    begin = before = time.monotonic()
    done, size = 0, 1
    while done < len(text):
        part = np.frombuffer(text[done : done + size], dtype=np.uint8)[:, None]
        _, widths = state.consume(part)
        yield PRECISION - np.log2(widths[:, 0])
        done += size
        now = time.monotonic()
        if now - begin > READING and done < len(text):
            raise LimitError(f"reading {len(text)} bytes takes over {READING:g} seconds; read by a faster compressor")
        if now - before < _SLICE:
            size *= 2
        before = now


class Desk:
    """Readings of many texts by many models, the latest ones, within ``MEMORY`` bytes. Threads may share it."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._kept: OrderedDict[tuple[str, int, bytes], tuple[Reading, int]] = OrderedDict()
        self._taken = 0
        self._lock = threading.Lock()

    def after(self, model: ByteModel, text: bytes) -> Reading:
        """Return a reading whose state stands after ``text``. The caller may ask the state, but must not extend it.

        A model that learns reads the last bytes one by one, so that what it shows depends on the text alone, and not on
        how it was typed.
        """
        return self._read(model, text, len(text) if model.warm_up is None else begin_of(text))

    def surprisals(self, model: ByteModel, text: bytes) -> Reading:
        """Return a reading with the surprisals of the last bytes."""
        return self._read(model, text, begin_of(text))

    def _read(self, model: ByteModel, text: bytes, begin: int) -> Reading:
        found = self._nearest(model, text, begin)
        if found is None:
            state, bits, done = model.start([text[:begin]]), np.empty(0), begin
        elif len(found.text) == len(text):
            return found
        else:
            state, bits, begin, done = found.state, found.bits, found.begin, len(found.text)
        bits = np.concatenate([bits, *_consumed(state, text[done:])])
        state.frequencies()
        reading = Reading(begin, text, bits, state)
        self._keep(model, reading)
        return reading

    def _nearest(self, model: ByteModel, text: bytes, begin: int) -> Reading | None:
        """Return a copy of the longest kept reading that can be extended to ``text``."""
        name = str(model)
        with self._lock:
            best = None
            for key, (reading, _) in self._kept.items():
                fits = reading.begin == begin or (begin == len(text) and model.warm_up is None)
                near = len(text) - STEP <= len(key[2]) <= len(text) or reading.begin == begin
                longer = best is None or len(key[2]) > len(best.text)
                if key[0] == name and fits and near and longer and text.startswith(key[2]):
                    best = reading
            if best is None:
                return None
            self._kept.move_to_end((name, best.begin, best.text))
            return Reading(best.begin, best.text, best.bits, best.state.fork([0]))

    def _keep(self, model: ByteModel, reading: Reading) -> None:
        size = model.memory(1, len(reading.text))
        kept = Reading(reading.begin, reading.text, reading.bits, reading.state.fork([0]))
        with self._lock:
            key = str(model), reading.begin, reading.text
            _, before = self._kept.pop(key, (None, 0))
            self._kept[key] = kept, size
            self._taken += size - before
            while self._taken > self._memory and len(self._kept) > 1:
                _, (_, freed) = self._kept.popitem(last=False)
                self._taken -= freed

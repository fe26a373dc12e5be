"""The arrays of a PPMd model (variant H): made, copied, enlarged, and run, compiled or not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compgen.jit import Loops, compiled_family
from compgen.laws import ppmd_loops, ppmd_update
from compgen.laws.parts import ORDERS
from compgen.laws.ppmd_update import FALL, FIRST_RUN, MAX, MIN, NODES, REGISTERS, RUN, STATES, STEPS, TEXT, UNITS

LOOPS = Loops(cost=0.6)
"""Compiled loops: importing numba and loading them from its cache takes about that many seconds; compiling anew, 16."""

_ROOT = 1
_PIECE = 1024  # bytes after which a run asks anew whether to go on compiled
_BINARY_ESCAPES = (0x3CDD, 0x1F3F, 0x59BF, 0x48F3, 0x64A1, 0x5ABC, 0x6632, 0x6051)  # of 7-zip's Ppmd7: first chances
_UNITS = (1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, *range(24, 129, 4))  # sizes of blocks in 7-zip's allocator
_NOTHING = np.empty(0, dtype=np.int64)


class Pools(NamedTuple):
    """All arrays of a model; for plain Python, memoryviews of them.

    Bytes alone are unsigned: numba would compute a sum of unsigned and signed integers in floats.

    A *context* is a node of the tree, by its index; a *state* is one byte that some context knows, by its index.

    Attributes:
        registers: (15,) int64: places named in ``ppmd_update.py``.
        suffix: (N,) int32 of a context: the context without its first byte; 0 of the empty one.
        first: (N,) int32 of a context: its first state. The others follow, by falling frequency, roughly.
        count: (N,) int16 of a context: how many bytes it knows.
        room: (N,) int16 of a context: how many it has space for.
        total: (N,) int32 of a context: its frequencies and that of escapes. Unused where it knows one byte.
        symbols: (S,) uint8 of a state: the byte.
        freqs: (S,) int16 of a state: its frequency.
        successors: (S,) int32 of a state: see ``ppmd_update.learn``.
        text: (T,) uint8: the bytes that contexts are still to be created from.
        bins: (8192,) int16: chances that the byte of a context that knows one comes, in units of 2**-14.
        see_totals: (400,) int32: for escapes from contexts with masked bytes, totals whose mean is a frequency.
        see_shifts: (400,) int16: log2 of the number that such a total is a sum of.
        see_left: (400,) int16: uses until that grows.
        see_rows: (256,) int16: the row of such an estimate, by the number of unmasked bytes less 1.
        free: (38,) int64: blocks for states that 7-zip's allocator has got back, by size class.
        units: (38,) int16: sizes of these, in units of 12 bytes.
        kinds: (129,) int16: the least size class that holds so many units.
        trial: (400,) int32: a copy of ``see_totals``.
        mask: (256,) int64: the stamp with which a byte was last masked.
        chain: (order + 1,) int64: states whose successors are being created.
        told: (3,) int64: see ``ppmd_loops.note``.
        weights: (256,) int64 of the next byte.
        shares: (256,) int64 of the next byte: frequencies.
        reserve: (2,) int64: contexts, and states, that one more byte may need.
    """

    registers: Any
    suffix: Any
    first: Any
    count: Any
    room: Any
    total: Any
    symbols: Any
    freqs: Any
    successors: Any
    text: Any
    bins: Any
    see_totals: Any
    see_shifts: Any
    see_left: Any
    see_rows: Any
    free: Any
    units: Any
    kinds: Any
    trial: Any
    mask: Any
    chain: Any
    told: Any
    weights: Any
    shares: Any
    reserve: Any


_GROWING = {
    "suffix": NODES,
    "first": NODES,
    "count": NODES,
    "room": NODES,
    "total": NODES,
    "symbols": STATES,
    "freqs": STATES,
    "successors": STATES,
    "text": TEXT,
}
"""Of each array that grows with the text: the register that says how much of it is in use."""
_SHARED = {"see_rows", "units", "kinds", "reserve"}


def free_units(memory: int) -> int:
    """Return how many units of 12 bytes 7-zip keeps for contexts and states in ``memory`` bytes; text has the rest."""
    return memory // 96 * 7


def _see_rows() -> NDArray[np.int16]:
    rows = [0, 1, 2]
    while len(rows) < 256:
        rows += [rows[-1] + 1] * (rows[-1] - 1)
    return np.array(rows[:256], dtype=np.int16)


def _fresh(order: int) -> Pools:
    """Return the arrays of a model that has seen nothing: the empty context knows all bytes, each once."""
    registers = np.zeros(REGISTERS, dtype=np.int64)
    registers[[MIN, MAX, FALL, NODES, STATES, TEXT]] = _ROOT, _ROOT, order, _ROOT + 1, 256, 1
    registers[UNITS] = 1 + _UNITS[-1]
    registers[[RUN, FIRST_RUN]] = -min(order, 12) - 1
    contexts, states = 64, 256
    count, room = np.zeros(contexts, dtype=np.int16), np.zeros(contexts, dtype=np.int16)
    total = np.zeros(contexts, dtype=np.int32)
    count[_ROOT] = room[_ROOT] = 256
    total[_ROOT] = 257
    escapes = np.tile(np.array(_BINARY_ESCAPES), 8)
    bins = (1 << ppmd_loops.BINARY) - escapes // np.arange(2, 130)[:, None]
    rows = np.repeat(np.arange(25), 16)
    return Pools(
        registers=registers,
        suffix=np.zeros(contexts, dtype=np.int32),
        first=np.zeros(contexts, dtype=np.int32),
        count=count,
        room=room,
        total=total,
        symbols=np.arange(states, dtype=np.uint8),
        freqs=np.ones(states, dtype=np.int16),
        successors=np.zeros(states, dtype=np.int32),
        text=np.zeros(64, dtype=np.uint8),
        bins=bins.astype(np.int16).ravel(),
        see_totals=((5 * rows + 10) << 3).astype(np.int32),
        see_shifts=np.full(400, 3, dtype=np.int16),
        see_left=np.full(400, 4, dtype=np.int16),
        see_rows=_see_rows(),
        free=np.zeros(len(_UNITS), dtype=np.int64),
        units=np.array(_UNITS, dtype=np.int16),
        kinds=np.searchsorted(_UNITS, np.arange(_UNITS[-1] + 1)).astype(np.int16),
        trial=np.zeros(400, dtype=np.int32),
        mask=np.zeros(256, dtype=np.int64),
        chain=np.zeros(order + 1, dtype=np.int64),
        told=np.zeros(3, dtype=np.int64),
        weights=np.zeros(256, dtype=np.int64),
        shares=np.zeros(256, dtype=np.int64),
        # A byte adds at most one context of each length, and each of these may move to twice the space.
        reserve=np.array([order + 1, (order + 1) * 257], dtype=np.int64),
    )


def _view(array: Any) -> Any:
    return memoryview(array)


class Model:
    """A PPMd model of a given order, without a limit to its memory.

    Args:
        order: bytes of context at most.
    """

    def __init__(self, order: int) -> None:
        self._arrays = _fresh(order)
        self._views: Pools | None = None

    @property
    def steps(self) -> int:
        """Numbers that ``append`` has written to ``steps``, in all."""
        return int(self._arrays.registers[STEPS])

    def fits(self, memory: int) -> bool:
        """Return whether all that 7-zip's model has allocated so far is in the unused part of ``memory`` bytes.

        Where it is not, its allocator begins to put blocks together, and at last the model starts anew.
        """
        registers, units = self._arrays.registers, free_units(memory)
        return bool(registers[UNITS] <= units and registers[TEXT] < memory - 12 * units)

    def fork(self) -> Model:
        """Return an independent copy."""
        fork = Model.__new__(Model)
        fork._arrays = self._copy(0)
        fork._views = None
        return fork

    def append(
        self, data: NDArray[np.uint8], low: Any = _NOTHING, width: Any = _NOTHING, steps: Any = _NOTHING
    ) -> None:
        """Append (T,) bytes; see ``ppmd_loops.run`` for what is written."""
        done = 0
        while done < len(data):
            end = len(data) if LOOPS.run_compiled else min(done + _PIECE, len(data))
            after = int(self._call("run", data[:end], done, low, width, steps))
            if after == done:
                self._arrays, self._views = self._copy(1), None
            done = after

    def frequencies(self) -> NDArray[np.int64]:
        """Return (256,) frequencies of the next byte."""
        self._call("expect")
        shares: NDArray[np.int64] = self._arrays.shares.copy()
        return shares

    def contexts(self) -> tuple[NDArray[np.int64], ...]:
        """Return what the contexts of ORDERS expect; see ``ppmd_loops.count``.

        Returns:
            (K, 256) weights, (K,) escapes, (K,) sums of frequencies, (K,) numbers of bytes known.
        """
        size = len(ORDERS)
        weights, (escapes, times, known) = np.zeros(256 * size, dtype=np.int64), np.zeros((3, size), dtype=np.int64)
        self._call("count", np.array(ORDERS, dtype=np.int64), weights, escapes, times, known)
        return weights.reshape(size, 256), escapes, times, known

    def _call(self, name: str, *args: Any) -> Any:
        """Call a function of ``ppmd_loops.py`` on this model, compiled or not."""
        if LOOPS.run_compiled:
            return compiled_family(ppmd_loops, ppmd_update)[name](self._arrays, *args)
        if self._views is None:
            self._views = Pools(*map(_view, self._arrays))
        plain = [_view(one) if isinstance(one, np.ndarray) else one for one in args]
        with LOOPS.fallback():
            return getattr(ppmd_loops, name)(self._views, *plain)

    def _copy(self, growth: int) -> Pools:
        """Return the arrays anew, those that grow with space for ``growth`` times what is in use, and some, more."""
        arrays = self._arrays
        contexts, states = arrays.reserve.tolist()
        spare = {NODES: contexts, STATES: states, TEXT: 2}
        copied = {}
        for name, array in arrays._asdict().items():
            if name in _GROWING:
                register = _GROWING[name]
                used = int(arrays.registers[register])
                copied[name] = np.empty((1 + growth) * used + spare[register] + _PIECE, dtype=array.dtype)
                copied[name][:used] = array[:used]
            elif name not in _SHARED:
                copied[name] = array.copy()
        return arrays._replace(**copied)

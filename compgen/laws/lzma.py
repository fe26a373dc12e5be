"""The prices of LZMA: the adaptive probabilities at the end of an encoder's own output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL, compiled_family
from compgen.laws import lzma_loops as loops
from compgen.laws.literals import ONE, MatchedLiterals, literals
from compgen.laws.states import LITERAL, MATCH, OTHER, POSITIONS, REPEAT, SHORT, StatePrices, reach_after

_CHUNK = 0x80  # control bytes from here on begin a chunk of LZMA; smaller ones a chunk as it is
_NEW_STATE, _NEW_PROPERTIES = 1, 2
_EVEN = 1024  # the probability of 0 at first, units of 2**-11


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder knows at a stream's end.

    Attributes:
        data: the bytes.
        probabilities: (PROBABILITIES,) of each bit being 0, units of 2**-11; see ``lzma_loops.py``.
        found: (n, 4) state before, kind, length and distance of each instruction.
        stored: whether the last chunk holds bytes as they are, or there is none.
    """

    data: bytes
    probabilities: NDArray[np.int64]
    found: NDArray[np.int64]
    stored: bool


def decode(stream: bytes, size: int) -> Decoded:
    """Decode a whole raw LZMA2 stream of ``size`` bytes; what is damaged is not looked for."""
    compiled = SMALL.run_compiled
    chunk = compiled_family(loops)["decode_chunk"] if compiled else loops.decode_chunk

    def table(values: Any) -> Any:
        return np.array(values, dtype=np.int64) if compiled else list(values)

    source, out = table(list(stream)), table([0] * size)
    found: Any = np.zeros((size + 1, 4), np.int64) if compiled else [[0] * 4 for _ in range(size + 1)]
    probabilities, recent, coder = table([_EVEN] * loops.PROBABILITIES), table([1] * 4), table([0] * 4)
    place = here = control = 0
    while stream[place]:
        control, low = stream[place], int.from_bytes(stream[place + 1 : place + 3], "big")
        if control < _CHUNK:
            out[here : here + low + 1] = source[place + 3 : place + 4 + low]
            here, place = here + low + 1, place + 4 + low
            continue
        count, packed = ((control & 31) << 16 | low) + 1, int.from_bytes(stream[place + 3 : place + 5], "big") + 1
        reset = control >> 5 & 3
        place += 6 if reset >= _NEW_PROPERTIES else 5
        if reset >= _NEW_STATE:
            probabilities, recent, coder = table([_EVEN] * loops.PROBABILITIES), table([1] * 4), table([0] * 4)
        coder[2] = place
        chunk(source, coder, recent, probabilities, out, here, here + count, found)
        here, place = here + count, place + packed
    rows = np.array(found[1 : found[0][0] + 1], dtype=np.int64).reshape(-1, 4)
    data = bytes(np.array(out, dtype=np.uint8))
    return Decoded(data, np.array(probabilities, dtype=np.int64), rows, control < _CHUNK)


_LONGEST = 273
_CLASSES = 4  # of lengths: 2, 3, 4, and more
_STATES = 10
_MERGED = ((7, 10), (8, 11))  # states that differ in what was before the last match alone
_FINE = 30  # log2 of what products of probabilities sum to
_NEAR = 14  # slots of distances before this have a probability for each distance


def _tree(probabilities: NDArray[np.int64], base: int, bits: int, backwards: bool = False) -> NDArray[np.int64]:
    """Return (2**bits,) probabilities of the numbers that a tree codes, units of 2**-30."""
    part = np.zeros(2 << bits, dtype=np.int64)
    part[1] = 1 << _FINE
    for node in range(1, 1 << bits):
        part[2 * node] = part[node] * probabilities[base + node] >> 11
        part[2 * node + 1] = part[node] - part[2 * node]
    leaves = part[1 << bits :]
    if backwards:
        leaves = leaves[[int(format(i, f"0{bits}b")[::-1], 2) for i in range(1 << bits)]] if bits else leaves
    return leaves


def _lengths(probabilities: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """Return (POSITIONS, 274) probabilities of lengths, units of 2**-20."""
    lengths = np.zeros((POSITIONS, _LONGEST + 1), dtype=np.int64)
    short, middle = int(probabilities[base]), int(probabilities[base + 1])
    for position in range(POSITIONS):
        parts = (
            (2, short << 11, _tree(probabilities, base + 2 + 8 * position, 3)),
            (10, (2048 - short) * middle, _tree(probabilities, base + 34 + 8 * position, 3)),
            (18, (2048 - short) * (2048 - middle), _tree(probabilities, base + 66, 8)),
        )
        for first, share, tree in parts:
            lengths[position, first : first + len(tree)] = (tree >> 2) * share >> (22 + _FINE - 2 - ONE)
    return lengths


def _distances(probabilities: NDArray[np.int64], reach: int) -> NDArray[np.int32]:
    """Return (4, reach + 1) probabilities of distances by class of lengths, units of 2**-28."""
    found = np.zeros((_CLASSES, reach + 1), dtype=np.int32)
    for kind in range(_CLASSES):
        slots = _tree(probabilities, loops.SLOT + 64 * kind, 6)
        for slot, share in enumerate(slots.tolist()):
            bits = max((slot >> 1) - 1, 0)
            base = (2 | slot & 1) << bits if slot >= 4 else slot
            if base >= reach:
                break
            if 4 <= slot < _NEAR:
                inside = _tree(probabilities, loops.SPECIAL + base - slot, bits, backwards=True)
                each = (share >> 2) * (inside >> 2) >> (2 * _FINE - 4 - 28)
            else:
                each = np.full(1 << bits, share >> (bits + _FINE - 28))
            found[kind, base + 1 : base + 1 + (1 << bits)] = each[: reach - base]
    return found


def _kinds(probabilities: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (5, POSITIONS, 10) probabilities of the kinds of instructions, units of 2**-20."""
    counts = np.bincount(found[:, 0], minlength=12) + 1
    kinds = np.zeros((5, POSITIONS, 12), dtype=np.int64)
    for state in range(12):
        p = [int(probabilities[base + state]) for base in (loops.IS_REP, loops.IS_REP0)]
        for position in range(POSITIONS):
            literal = int(probabilities[loops.IS_MATCH + POSITIONS * state + position])
            short = int(probabilities[loops.IS_LONG + POSITIONS * state + position])
            match = (2048 - literal) << (ONE - 11)
            repeat = match * (2048 - p[0]) >> 11
            last = repeat * p[1] >> 11
            kinds[LITERAL, position, state] = literal << (ONE - 11)
            kinds[MATCH, position, state] = match - repeat
            kinds[SHORT, position, state] = last * short >> 11
            kinds[REPEAT, position, state] = last - (last * short >> 11)
            kinds[OTHER, position, state] = repeat - last
    for one, other in _MERGED:
        total = int(counts[one] + counts[other])
        kinds[:, :, one] = (kinds[:, :, one] * counts[one] + kinds[:, :, other] * counts[other]) // total
    return np.ascontiguousarray(kinds[:, :, :_STATES])  # one layout, so that loops are compiled once


def prices_of(decoded: Decoded) -> StatePrices:
    """Return the prices at a stream's end. Where its last chunk is stored, bytes are all alike and none match."""
    table, kinds = decoded.probabilities, _kinds(decoded.probabilities, decoded.found)
    if decoded.stored:
        table = np.full(loops.PROBABILITIES, _EVEN)
        kinds = np.zeros_like(kinds)
        kinds[LITERAL] = 1 << ONE
    lengths = _lengths(table, loops.LENGTH)
    by_class = np.zeros((_CLASSES, POSITIONS, _LONGEST + 1), dtype=np.int64)
    for kind in range(_CLASSES):
        part = slice(2 + kind, 3 + kind if kind < _CLASSES - 1 else None)
        by_class[kind, :, part] = lengths[:, part]
    trees = table[loops.LITERAL :]
    return StatePrices(
        kinds=kinds,
        after_literal=np.array([0, 0, 0, 0, 1, 2, 3, 4, 5, 6]),
        after_match=np.array([7, 8, 9]),
        literals_by=np.array([literals(trees, context, -1) for context in range(8)]),
        matched=MatchedLiterals(trees),
        first_matched=7,
        lengths=by_class,
        distances=_distances(table, reach_after(len(decoded.data))),
        again=_lengths(table, loops.REP_LENGTH),
    )

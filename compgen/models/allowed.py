r"""Restrict the bytes that may come next.

``bytes`` allows all of them. ``utf-8`` allows bytes that continue the prompt as valid UTF-8. ``printable`` allows those
of UTF-8 that spell printable characters of any script, spaces of any kind, tab and newline, by the tables of Unicode
that this Python has. ``chars:...`` allows the given ASCII characters, with the escapes ``\n``, ``\t``, ``\\``, and
``\xNN`` for any byte.

The distribution of the bytes that are allowed is the model's, normalised anew after each byte.
"""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.display import is_printable
from compgen.errors import UsageError
from compgen.media.text import unfinished
from compgen.models.base import PRECISION
from compgen.registry import suggest
from compgen.types import Frequencies, Mask, Rows, Symbols

_ESCAPES = {"n": 10, "t": 9, "\\": 92}
"""The bytes that escapes in ``chars:`` stand for."""

_CODE_POINTS = 0x110000
"""The number of Unicode's code points."""

_SURROGATES = slice(0xD800, 0xE000)
"""Code points that are no characters, and that UTF-8 does not encode (RFC 3629, section 3)."""

_MULTIBYTE = ((2, 0xC0, 0x80, 0x800), (3, 0xE0, 0x800, 0x10000), (4, 0xF0, 0x10000, _CODE_POINTS))
"""Characters of several bytes: the bytes, the least first byte, and the first and the last code point (exclusive)."""


class Allowed(ABC):
    """The bytes that are allowed next in each of B rows."""

    @abstractmethod
    def mask(self) -> Mask:
        """Return (B, 256) True for bytes that may come next."""

    def extend(self, symbols: Symbols) -> None:  # noqa: B027 - a set without memory has nothing to do
        """Append one byte to each row, in place; ``symbols`` is (B,)."""

    @abstractmethod
    def fork(self, rows: Rows) -> Allowed:
        """Return an independent copy of the given rows."""


class ByteSet(Allowed):
    """Allows the same bytes at every step."""

    def __init__(self, members: bytes, rows: int) -> None:
        row = np.zeros(256, dtype=np.bool_)
        row[list(members)] = True
        self._members = members
        self._mask = np.broadcast_to(row, (rows, 256))

    def mask(self) -> Mask:
        """Return (B, 256) True for members of the set."""
        return self._mask

    def fork(self, rows: Rows) -> ByteSet:
        """Return the same set for the number of the given rows."""
        return ByteSet(self._members, len(rows))


def _recogniser_of(members: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Return a finite automaton that recognises the UTF-8 of the code points where ``members`` is True.

    Returns:
        (S, 256) the state after each state and byte, or -1 where the byte is not allowed. State 0 is between
        characters.
    """
    rows = [np.full(256, -1, dtype=np.int16)]
    rows[0][:0x80][members[:0x80]] = 0
    for size, first, low, high in _MULTIBYTE:
        leads = (0x100 - first) // 2
        after = np.full(leads * 64 ** (size - 1), -1, dtype=np.int16)
        after[low:high][members[low:high]] = 0
        for _ in range(1, size):
            after = np.array([*_states_before(after.reshape(-1, 64), rows)], dtype=np.int16)
        rows[0][first : first + leads] = after
    return np.stack(rows)


def _states_before(blocks: NDArray[np.int16], rows: list[NDArray[np.int16]]) -> Iterator[int]:
    """Yield the state before each block of 64 states after the 64 continuation bytes. New states go to ``rows``."""
    known = {np.full(64, -1, dtype=np.int16).tobytes(): -1}
    for block in blocks:
        key = block.tobytes()
        if key not in known:
            known[key] = len(rows)
            rows.append(np.full(256, -1, dtype=np.int16))
            rows[-1][0x80:0xC0] = block
        yield known[key]


def _state(after: NDArray[np.int16], start: bytes) -> int:
    """Return the state after ``start``, the first bytes of a character, or 0 if it begins none that is allowed."""
    state = 0
    for byte in start:
        state = int(after[state, byte])
        if state < 0:
            return 0
    return state


@functools.cache
def _recogniser(name: str) -> NDArray[np.int16]:
    """Return the automaton of all characters (``utf-8``), or of the printable ones (``printable``)."""
    members = np.ones(_CODE_POINTS, dtype=np.bool_)
    if name == "printable":
        members = np.array([is_printable(chr(code)) for code in range(_CODE_POINTS)])
    members[_SURROGATES] = False
    return _recogniser_of(members)


class Characters(Allowed):
    """Allows bytes that spell characters of a set. The last character may be unfinished; see ``whole``."""

    def __init__(self, after: NDArray[np.int16], states: NDArray[np.int64]) -> None:
        self._after = after
        self._states = states

    def mask(self) -> Mask:
        """Return (B, 256) True for bytes that begin or continue a character of the set."""
        return self._after[self._states] >= 0

    def extend(self, symbols: Symbols) -> None:
        """Advance each row by its byte."""
        self._states = self._after[self._states, symbols].astype(np.int64)

    def fork(self, rows: Rows) -> Characters:
        """Return the states of the given rows."""
        return Characters(self._after, self._states[np.asarray(rows, dtype=np.intp)])


def allowed(name: str | None, prompts: Sequence[bytes]) -> Allowed:
    """Return the set called ``name`` for a row after each of ``prompts``. None is ``bytes``.

    Under ``utf-8`` and ``printable``, a character that a prompt leaves unfinished is finished first, and one that a
    continuation leaves unfinished is dropped by samplers (``whole``).

    Raises:
        UsageError: there is no such set, or a ``chars:`` set is empty or not ASCII.
    """
    if name is None or name == "bytes":
        return ByteSet(bytes(range(256)), len(prompts))
    if name in ("printable", "utf-8"):
        after = _recogniser(name)
        return Characters(after, np.array([_state(after, unfinished(one)) for one in prompts], dtype=np.int64))
    if name.startswith("chars:"):
        return ByteSet(_characters(name.removeprefix("chars:")), len(prompts))
    raise UsageError(f"no byte set '{name}'{suggest(name, ['bytes', 'printable', 'utf-8', 'chars:ABC...'])}")


def whole(name: str | None, data: bytes | bytearray) -> int:
    """Return how many bytes of a continuation ``data`` are whole characters, or all of them if ``name`` is of bytes."""
    return len(data) - len(unfinished(data)) if name in ("printable", "utf-8") else len(data)


def surprisals(frequencies: Frequencies, mask: Mask) -> NDArray[np.float64]:
    """Return (B, 256) bits, -log2 of the share of each byte among those that ``mask`` allows; any number elsewhere."""
    total = np.where(mask, frequencies, 0).sum(axis=1, keepdims=True)
    bits: NDArray[np.float64] = np.log2(total) - np.log2(frequencies)
    return bits


def restricted(frequencies: Frequencies, mask: Mask) -> Frequencies:
    """Return (B, 256) frequencies that sum to 2**PRECISION, 0 where ``mask`` is False, in integers alone.

    What rounding leaves goes to the most frequent byte.
    """
    if mask.all():
        return frequencies
    kept = np.where(mask, frequencies, 0).astype(np.int64)
    shares: Frequencies = (kept << PRECISION) // kept.sum(axis=1, keepdims=True)
    rows = np.arange(len(shares))
    shares[rows, shares.argmax(axis=1)] += (1 << PRECISION) - shares.sum(axis=1)
    return shares


def _characters(text: str) -> bytes:
    members = bytearray()
    for match in re.finditer(r"\\x([0-9a-fA-F]{2})|\\(.?)|(.)", text, re.DOTALL):
        number, escape, character = match.groups()
        if number is not None:
            members.append(int(number, 16))
        elif escape is not None:
            if escape not in _ESCAPES:
                raise UsageError(f"chars: does not know the escape '\\{escape}'; it knows \\n, \\t, \\\\ and \\xNN")
            members.append(_ESCAPES[escape])
        elif character.isascii():
            members.append(ord(character))
        else:
            raise UsageError(
                f"chars: takes ASCII, since it allows single bytes, and '{character}' has several; allow utf-8"
            )
    if not members:
        raise UsageError("chars: needs at least one character, such as chars:ACGT")
    return bytes(members)

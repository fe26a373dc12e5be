r"""Restrict the bytes that a sample may hold.

``printable`` allows ASCII letters, digits, punctuation, space, tab and newline. ``utf-8`` allows any bytes that make
the continuation, by itself, valid UTF-8. ``chars:...`` allows the given ASCII characters, with the escapes ``\n``,
``\t``, ``\\``, and ``\xNN`` for any byte.
"""

from __future__ import annotations

import re
import string
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.registry import suggest
from compgen.types import Mask, Rows, Symbols

_ESCAPES = {"n": 10, "t": 9, "\\": 92}
"""The bytes that escapes in ``chars:`` stand for."""


class Allowed(ABC):
    """The bytes that are allowed next in each of B rows."""

    @abstractmethod
    def mask(self, left: int) -> Mask:
        """Return (B, 256) True for bytes that may come next. ``left`` is the bytes to come, with the next one."""

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

    def mask(self, left: int) -> Mask:
        """Return (B, 256) True for members of the set."""
        return self._mask

    def fork(self, rows: Rows) -> ByteSet:
        """Return the same set for the number of the given rows."""
        return ByteSet(self._members, len(rows))


_NEED = np.array([0, 1, 2, 3, 2, 2, 3, 3])
"""The bytes that each state of a UTF-8 recogniser still needs (RFC 3629). The states are: 0, between two characters;
1 to 3, so many bytes to come; 4 to 7, after E0, ED, F0 and F4, which restrict the second byte."""


def _utf8_transitions() -> NDArray[np.int64]:
    """Return (8, 256) the state after each state and byte, or -1 if the byte is not valid there."""
    next_state = np.full((8, 256), -1)
    for low, high, state in (
        (0x00, 0x7F, 0),
        (0xC2, 0xDF, 1),
        (0xE0, 0xE0, 4),
        (0xE1, 0xEC, 2),
        (0xED, 0xED, 5),
        (0xEE, 0xEF, 2),
        (0xF0, 0xF0, 6),
        (0xF1, 0xF3, 3),
        (0xF4, 0xF4, 7),
    ):
        next_state[0, low : high + 1] = state
    for state, low, high, after in (
        (1, 0x80, 0xBF, 0),
        (2, 0x80, 0xBF, 1),
        (3, 0x80, 0xBF, 2),
        (4, 0xA0, 0xBF, 1),
        (5, 0x80, 0x9F, 1),
        (6, 0x90, 0xBF, 2),
        (7, 0x80, 0x8F, 2),
    ):
        next_state[state, low : high + 1] = after
    return next_state


_UTF8 = _utf8_transitions()


class Utf8(Allowed):
    """Allows bytes that keep each row valid UTF-8, and that let it end after a whole character."""

    def __init__(self, states: NDArray[np.int64]) -> None:
        self._states = states

    def mask(self, left: int) -> Mask:
        """Return (B, 256) True for bytes that lead to a state which ``left - 1`` more bytes can complete."""
        after = _UTF8[self._states]
        return (after >= 0) & (_NEED[after] < left)

    def extend(self, symbols: Symbols) -> None:
        """Advance the recogniser of each row."""
        self._states = _UTF8[self._states, symbols]

    def fork(self, rows: Rows) -> Utf8:
        """Return the recognisers of the given rows."""
        return Utf8(self._states[np.asarray(rows, dtype=np.intp)])


def allowed(name: str | None, rows: int) -> Allowed:
    """Return the set called ``name`` for ``rows`` rows. None allows every byte.

    Raises:
        UsageError: there is no such set, or a ``chars:`` set is empty or not ASCII.
    """
    if name is None:
        return ByteSet(bytes(range(256)), rows)
    if name == "printable":
        return ByteSet((string.digits + string.ascii_letters + string.punctuation + " \t\n").encode(), rows)
    if name == "utf-8":
        return Utf8(np.zeros(rows, dtype=np.int64))
    if name.startswith("chars:"):
        return ByteSet(_characters(name.removeprefix("chars:")), rows)
    raise UsageError(f"no byte set '{name}'{suggest(name, ['printable', 'utf-8', 'chars:ABC...'])}")


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
            raise UsageError(f"chars: takes ASCII; write '{character}' as the bytes \\xNN of its encoding")
    if not members:
        raise UsageError("chars: needs at least one character, such as chars:ACGT")
    return bytes(members)

"""Probes of a compressor's prices: continuations of a window, made of copies of it or of bytes that match nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

PIECES = 12
"""Copies of a probe. With more, adaptive coders (xz) learn the probe itself: law / own 0.99 with 12, 1.02 with 24."""

STRANGE = 2 * PIECES
"""Literals of a probe, half of them of one class."""

LENGTHS = (2, 3, 4, 5, 6, 8, 12, 16, 24, 40)
"""Lengths of copies, bytes."""

REPEATED = (1, 2, 3, 4, 6, 8, 12, 16, 24, 40)
"""Lengths of copies from one distance, bytes."""

FIRST_OCTAVE = 5
"""The nearest distances of copies are 2**5 bytes to twice that."""

_ROUNDS = 2  # probes of each class of literals
_TRIES = 40  # places that are drawn for a piece or a literal before less than all wishes are met
_SHORT = 3  # bytes: copies from here on are the latest of their kind, and literals repeat nothing so long
_LEAD = 8  # strange literals that stand before every probe, so that what a first new byte costs is no probe's


class Generator:
    """A linear congruential generator (Knuth's MMIX constants): the same numbers on every machine."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, bound: int) -> int:
        """Return a number in [0, bound)."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self._state >> 33) * bound >> 31


def literal_classes(window: bytes) -> list[list[int]]:
    """Return the 256 bytes by the bit length of how often ``window`` has them, ascending; classes are not empty."""
    counts = Counter(window)
    classes: dict[int, list[int]] = {}
    for byte in range(256):
        classes.setdefault(counts[byte].bit_length(), []).append(byte)
    return [classes[key] for key in sorted(classes)]


def strange(window: bytes, members: Sequence[int], count: int, generator: Generator) -> bytes:
    """Return ``count`` bytes that match nothing as long as ``_SHORT``, in turn from the window and from ``members``."""
    out = b""
    for i in range(count):
        pool = members if i % 2 else window
        for _ in range(_TRIES):
            end = (out + bytes([pool[generator.below(len(pool))]]))[-_SHORT:]
            if len(end) < _SHORT or (end not in window and end not in out and end[1:] != end[:-1]):
                break
        out += end[-1:]
    return out


def copies(window: bytes, length: int, octave: int, generator: Generator) -> bytes | None:
    """Return ``PIECES`` copies of ``length`` bytes, one after another, from distances in [2**octave, 2**(octave + 1)).

    No piece goes on where the one before it ended. None where there is no room.
    """
    out, follower = b"", -1
    for _ in range(PIECES):
        for attempt in range(_TRIES):
            place = len(window) + len(out) - (1 << octave) - generator.below(1 << octave)
            if place < 0 or place + length >= len(window) or window[place] == follower:
                continue
            piece = window[place : place + length]
            if length < _SHORT or attempt >= _TRIES // 2 or window.rfind(piece) == place:
                break
        else:
            return None
        out, follower = out + piece, window[place + length]
    return out


def repeats(window: bytes, length: int, generator: Generator) -> tuple[int, bytes, bytes] | None:
    """Return a distance, ``PIECES`` copies from it, a foreign byte behind each, and the foreign bytes.

    None where there is no room.
    """
    octave = (PIECES * (length + 1) - 1).bit_length()
    if len(window) < 2 << octave:
        return None
    distance = (1 << octave) + generator.below(1 << octave)
    out, foreign = b"", b""
    for _ in range(PIECES):
        place = len(window) + len(out) - distance
        for _ in range(_TRIES):
            byte = window[generator.below(len(window))]
            if byte != window[place + length]:
                break
        out += window[place : place + length] + bytes([byte])
        foreign += bytes([byte])
    return distance, out, foreign


@dataclass(frozen=True)
class Probes:
    """The probes of one window.

    Attributes:
        window: the bytes that probes follow.
        lead: strange literals between the window and each probe.
        classes: see ``literal_classes``.
        copies: probes by (length, octave).
        literals: probes of strange literals.
        repeats: by length, what ``repeats`` returns.
    """

    window: bytes
    lead: bytes = field(init=False)
    classes: list[list[int]] = field(init=False)
    copies: dict[tuple[int, int], bytes] = field(init=False)
    literals: list[bytes] = field(init=False)
    repeats: dict[int, tuple[int, bytes, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        generator = Generator(2 * len(self.window) + 1)
        classes = literal_classes(self.window)
        found = {
            "lead": strange(self.window, self.window, _LEAD, generator),
            "classes": classes,
            "copies": dict(self._copies(generator)),
            "literals": [
                strange(self.window, members, STRANGE, generator)
                for _ in range(_ROUNDS)
                for members in [*classes, self.window]
            ],
            "repeats": {
                length: probe for length in REPEATED if (probe := repeats(self.window, length, generator)) is not None
            },
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def _copies(self, generator: Generator) -> Iterator[tuple[tuple[int, int], bytes]]:
        size = len(self.window)
        for length in LENGTHS:
            for octave in range(FIRST_OCTAVE, size.bit_length()):
                # Pieces of one octave do not overlap, and the octave has room before the window's end.
                if PIECES * length > 1 << octave or 4 * size < 5 << octave:
                    continue
                probe = copies(self.window, length, octave, generator)
                if probe is not None:
                    yield (length, octave), probe


def made_text(size: int) -> bytes:
    """Return ``size`` bytes of made words: 300 of them, the earlier the commoner, with commas and full stops."""
    generator, letters = Generator(5), b"eeeetttaaoooiinnnsshhrrddlluucmfwygpbvk"
    words = [
        bytes(letters[generator.below(len(letters))] for _ in range(2 + generator.below(4) + generator.below(4)))
        for _ in range(300)
    ]
    out = b""
    while len(out) < size:
        out += words[generator.below(1 + generator.below(1 + generator.below(len(words))))]
        out += b", " if generator.below(12) == 0 else b".\n" if generator.below(15) == 0 else b" "
    return out[:size]

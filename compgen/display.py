"""Show bytes as text that is safe on a terminal or in a page, and colour it by surprisal."""

from __future__ import annotations

import bisect
import codecs
import html
import itertools
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RETURN = "\N{SYMBOL FOR CARRIAGE RETURN}"
"""How a carriage return is shown."""
_CONTROL_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
"""The picture of each control character (Unicode block Control Pictures), except newline and tab."""


def _visible(text: str) -> str:
    """Replace every character that could move a cursor, ring a bell or reverse the direction of text."""
    text = text.translate(_CONTROL_PICTURES)
    return "".join(c if is_printable(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_printable(character: str) -> bool:
    """Return whether Unicode calls ``character`` printable, or a space of any width, or it is a tab or a newline."""
    return character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"


def one_line(text: str) -> str:
    """Return ``text`` as one line that is safe to show: names of files, and messages that may hold some.

    Line breaks and tabs are shown as control pictures. Bytes of a name that are not UTF-8 become U+FFFD.
    """
    return _visible(text).translate({ord("\n"): 0x240A, ord("\t"): 0x2409})


class TextStream:
    """Turns a stream of UTF-8 bytes into text that can be shown, one whole character at a time."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes, final: bool = False) -> str:
        """Return the text that can be shown now. Invalid bytes become U+FFFD, control bytes control pictures."""
        return _visible(self._decoder.decode(data, final))

    @property
    def whole(self) -> bool:
        """Whether the bytes so far end with a whole character."""
        return not self._decoder.getstate()[0]


def readable(data: bytes) -> str:
    """Return ``data`` as text that is safe to show. Newlines and tabs are kept; nothing else controls a terminal."""
    return TextStream().feed(data, final=True)


def readable_lines(data: bytes) -> str:
    """Return what ``readable`` does, but for a carriage return before a line feed: both are one end of a line."""
    return readable(data).replace(RETURN + "\n", "\n")


def joins(before: str, character: str) -> bool:
    """Return whether ``character`` continues the grapheme ``before``: a mark, a skin tone, or half a flag.

    A grapheme is what readers see as one character. These are those rules of UAX 29 that Python's own tables suffice
    for. Zero-width joiners are not shown, so they join nothing.
    """
    if not before or before in "\n\t":
        return False
    flags = "\U0001f1e6", "\U0001f1ff"
    if flags[0] <= character <= flags[1]:
        return len(before) % 2 == 1 and all(flags[0] <= one <= flags[1] for one in before)
    return unicodedata.category(character).startswith("M") or "\U0001f3fb" <= character <= "\U0001f3ff"


def graphemes(data: bytes, surprisals: NDArray[np.float64]) -> Iterator[tuple[str, float]]:
    """Yield each grapheme with its surprisal in bits, the sum over its bytes."""
    shown, bits = "", 0.0
    for character, surprisal in characters(data, surprisals):
        if shown and not joins(shown, character):
            yield shown, bits
            shown, bits = "", 0.0
        shown += character
        bits += surprisal
    if shown:
        yield shown, bits


def characters(data: bytes, surprisals: NDArray[np.float64]) -> Iterator[tuple[str, float]]:
    """Yield each character of ``data`` as it is shown, with its surprisal in bits, the sum over its bytes.

    Args:
        data: n bytes, UTF-8 or not.
        surprisals: (n,) bits, one for each byte.
    """
    stream = TextStream()
    pending: list[float] = []

    def shown(text: str) -> Iterator[tuple[str, float]]:
        """Yield the characters that the pending bytes are shown as. Each takes one byte, the last takes all."""
        for place, character in enumerate(text, 1):
            taken = len(pending) if place == len(text) else 1
            yield character, sum(pending[:taken])
            del pending[:taken]

    for byte, bits in zip(data, surprisals, strict=True):
        text = stream.feed(bytes([byte]))
        # A byte that cannot continue a character first shows that character as broken, and then itself, now or later.
        broken = text[: len(text) - 1] if text[-1:] != "\N{REPLACEMENT CHARACTER}" or stream.whole else text
        yield from shown(broken)
        pending.append(float(bits))
        yield from shown(text[len(broken) :])
    yield from shown(stream.feed(b"", final=True))


_SCALE = ((46, 160, 67), (154, 160, 60), (219, 142, 40), (228, 88, 60), (207, 34, 110))
"""Red, green and blue at 0, 3, 6, 9 and 12 bits. Chosen: readable on light and on dark backgrounds."""


def surprisal_colour(bits: float) -> str:
    """Return ``#rrggbb`` for a surprisal in bits: green for an expected byte, red for an unexpected one."""
    position = min(max(bits, 0.0) / 3.0, len(_SCALE) - 1.0)
    low = min(int(position), len(_SCALE) - 2)
    share = position - low
    mixed = (round(a + (b - a) * share) for a, b in zip(_SCALE[low], _SCALE[low + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


LEVELS = (1, 2, 4, 6, 8, 10)
"""Bits from which on each level of surprisal after level 0 counts. Chosen: they part the expected from the possible.
8 bits is what a byte costs when nothing is known."""


def surprisal_level(bits: float) -> int:
    """Return the level of a surprisal in bits, 0 to 6. Pages have a colour for each, ``.s0`` to ``.s6``."""
    return bisect.bisect_right(LEVELS, bits)


_TINTS = ("#fdf3d8", "#fbe3a9", "#f9cb7d", "#f6ad62", "#f08b57", "#e86f58")
"""The grounds of characters of levels 1 to 6 in notebooks: those of pages/site/base.css in its light theme."""
_ON_TINT = "#1c1a18"
"""The ink on them, at a contrast of 5.6 or more, whatever the theme of the notebook."""


def surprisal_html(data: bytes, surprisals: NDArray[np.float64], before: str = "") -> str:
    """Return ``data`` as an escaped HTML ``<pre>``: the ground of each character is its level of surprisal.

    ``before`` is shown in front of it, paler.
    """
    known = f'<span style="opacity:.7">{html.escape(before)}</span>' if before else ""
    spans = (
        f'<span{_ground(bits)} title="{bits:.2f} bits">{html.escape(character)}</span>'
        for character, bits in graphemes(data, surprisals)
    )
    return f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0">{known}{"".join(spans)}</pre>'


def _ground(bits: float) -> str:
    level = surprisal_level(bits)
    return f' style="background:{_TINTS[level - 1]};color:{_ON_TINT}"' if level else ""


def surprisal_legend() -> str:
    """Return the legend of ``surprisal_html`` as HTML: which ground is how many bits."""
    edges = [f"{low}-{high}" for low, high in itertools.pairwise(LEVELS)] + [f"{LEVELS[-1]} or more"]
    marks = "".join(
        f'<span style="background:{tint};color:{_ON_TINT};padding:0 .5em">{edge}</span>'
        for tint, edge in zip(_TINTS, edges, strict=True)
    )
    return f"<p><small>bits that a character cost: plain, less than {LEVELS[0]}; {marks}</small></p>"

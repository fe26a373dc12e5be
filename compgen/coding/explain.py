"""Draw arithmetic coding as nested intervals of a model's real probabilities (Deletang et al. 2024, Figure 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np

from compgen.display import readable
from compgen.errors import UsageError
from compgen.models.base import ALPHABET, PRECISION, ByteModel

LONGEST = 64
"""Bytes that are explained at most. Chosen: a wider picture cannot be read."""

_WIDTH, _HEIGHT, _GAP, _MARGIN, _HEAD = 64, 420, 56, 24, 40
"""Pixels: width and height of a column, the gap between columns, the margin, and the height of the headings. Chosen."""

_LETTER = 8.0
"""Pixels that a letter of the last two lines takes."""

_LABELLED = 11.0
"""Pixels: the least height of an interval that shows its byte. Chosen: the labels are 12 pixels high."""

_SEEN = 0.6
"""Pixels: intervals of a smaller height are not drawn, since their borders would run together. Chosen."""


@dataclass(frozen=True)
class Step:
    """The coding of one byte.

    Attributes:
        symbol: the byte.
        frequencies: 256 shares of 2**PRECISION. They divide the interval before the byte, in the order of the bytes.
        low: the exact beginning of the interval after the byte, as a part of [0, 1).
        width: its exact width.
    """

    symbol: int
    frequencies: tuple[int, ...]
    low: Fraction
    width: Fraction

    @property
    def probability(self) -> float:
        """The byte's share of the interval before it."""
        return self.frequencies[self.symbol] / (1 << PRECISION)

    @property
    def bits(self) -> float:
        """-log2 of the probability."""
        return -math.log2(self.probability)

    @property
    def label(self) -> str:
        """The byte as it is shown."""
        return label(self.symbol)


@dataclass(frozen=True)
class Explanation:
    """Every step from the interval [0, 1) to the interval of the text, and the shortest code inside it."""

    steps: tuple[Step, ...]

    @property
    def code(self) -> str:
        """The shortest binary digits such that every number 0.DIGITS... lies in the interval of the text."""
        low, width = self.steps[-1].low, self.steps[-1].width
        for digits in range(24 * LONGEST + 2):
            place = math.ceil(low * 2**digits)
            if Fraction(place + 1, 2**digits) <= low + width:
                return format(place, f"0{digits}b") if digits else ""
        raise AssertionError("an interval of at least 2**-(24 * LONGEST) holds a number of that many digits")

    @property
    def bits(self) -> float:
        """-log2 of the probability of the text."""
        return sum(step.bits for step in self.steps)

    def svg(self) -> str:
        """Return the picture as SVG. Each byte has a column; its shaded part is the whole of the next column."""
        count = len(self.steps)
        size = 2 * _MARGIN + count * _WIDTH + (count - 1) * _GAP, _HEAD + _HEIGHT + 4 * _MARGIN
        root = ElementTree.Element(
            "svg",
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {size[0]} {size[1]}",
            width=str(size[0]),
            height=str(size[1]),
            role="img",
        )
        ElementTree.SubElement(root, "title").text = "Arithmetic coding: nested intervals"
        ElementTree.SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
        for number, step in enumerate(self.steps):
            self._column(root, number, step)
        most = int(size[0] / _LETTER) - 8
        shown = self.code if len(self.code) <= most else f"{self.code[: most - 1]}…"
        _text(root, size[0] / 2, size[1] - 2 * _MARGIN, f"{self.bits:.2f} bits, {len(self.code)} binary digits", 13)
        _text(root, size[0] / 2, size[1] - _MARGIN, f"0.{shown}", 13)
        return ElementTree.tostring(root, encoding="unicode")

    def _column(self, root: ElementTree.Element, number: int, step: Step) -> None:
        left, top = _MARGIN + number * (_WIDTH + _GAP), float(_HEAD)
        _text(root, left + _WIDTH / 2, _HEAD - 22, step.label, 16)
        _text(root, left + _WIDTH / 2, _HEAD - 7, f"p {step.probability:.3g}", 11)
        place = 0
        for symbol, frequency in enumerate(step.frequencies):
            y = top + _HEIGHT * place / (1 << PRECISION)
            height = _HEIGHT * frequency / (1 << PRECISION)
            place += frequency
            chosen = symbol == step.symbol
            if not chosen and height < _SEEN:
                continue
            _rectangle(root, left, y, max(height, 1.0 if chosen else 0.0), "#f4b860" if chosen else "#eef1f5")
            if height >= _LABELLED:
                _text(root, left + _WIDTH / 2, y + height / 2 + 4, label(symbol), 12)
            if chosen and number + 1 < len(self.steps):
                for here, there in ((y, top), (y + height, top + _HEIGHT)):
                    ends = {"x1": left + _WIDTH, "y1": here, "x2": left + _WIDTH + _GAP, "y2": there}
                    line = {key: f"{value:.2f}" for key, value in ends.items()}
                    ElementTree.SubElement(root, "line", {**line, "stroke": "#b7791f"})
        ElementTree.SubElement(
            root,
            "rect",
            {"x": str(left), "y": str(_HEAD), "width": str(_WIDTH), "height": str(_HEIGHT), "fill": "none"},
            stroke="#334155",
        )
        _text(root, left + _WIDTH / 2, _HEAD + _HEIGHT + 18, f"{step.bits:.2f} bits", 11)


def explain(model: ByteModel, data: bytes, prompt: bytes = b"") -> Explanation:
    """Return the steps in which ``data`` is coded after ``prompt``.

    Raises:
        UsageError: ``data`` is empty, or longer than ``LONGEST`` bytes.
    """
    if not 1 <= len(data) <= LONGEST:
        raise UsageError(f"explain takes 1 to {LONGEST} bytes, not {len(data)}; intervals get too small to draw")
    state = model.start([prompt])
    low, width = Fraction(0), Fraction(1)
    steps = []
    symbols = np.frombuffer(data, dtype=np.uint8)
    for symbol, row in zip(symbols.tolist(), state.read(symbols.reshape(-1, 1))[:, 0].tolist(), strict=True):
        frequencies = tuple(row)
        low += width * Fraction(sum(frequencies[:symbol]), 1 << PRECISION)
        width *= Fraction(frequencies[symbol], 1 << PRECISION)
        steps.append(Step(symbol, frequencies, low, width))
    return Explanation(tuple(steps))


def label(symbol: int) -> str:
    """Return a byte as one to four characters that are safe to show."""
    assert 0 <= symbol < ALPHABET  # noqa: S101
    return {" ": "␣", "\n": "↵", "\t": "⇥"}.get(chr(symbol)) or readable(bytes([symbol]))


def _rectangle(root: ElementTree.Element, x: float, y: float, height: float, fill: str) -> None:
    box = {"x": f"{x:.2f}", "y": f"{y:.2f}", "width": str(_WIDTH), "height": f"{height:.2f}"}
    ElementTree.SubElement(root, "rect", {**box, "fill": fill, "stroke": "#94a3b8", "stroke-width": "0.5"})


def _text(root: ElementTree.Element, x: float, y: float, text: str, size: int) -> None:
    place = {"x": f"{x:.2f}", "y": f"{y:.2f}", "font-size": str(size), "text-anchor": "middle"}
    ElementTree.SubElement(root, "text", {**place, "font-family": "monospace", "fill": "#0f172a"}).text = text

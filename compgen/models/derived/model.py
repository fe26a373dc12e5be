"""A next-byte distribution from any compressor's code lengths.

The calibrated rule is in ``calibrated.py``. The one-step rule, here, is the paper's (Deletang et al. 2024, section
3.4): p(b | context) proportional to 2**-(L(context b) - L(context)). It sees one byte ahead: a match of several bytes
looks no better than its first byte, and where lengths are whole bytes nearly all of them tie.

The context window: an encoder's state is not a function of the last N bytes, so a row's window grows to
2N bytes and then starts again at its last N. Where it starts is fixed by the number of bytes alone,
so a fresh start on the same bytes stands in the same window.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor, Meter
from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.base import ByteModel, State
from compgen.models.derived.calibrated import EFFORTS, CalibratedState, warm_up
from compgen.models.quantise import frequencies_from_lengths
from compgen.models.window import Window
from compgen.registry import Spec, convert, suggest
from compgen.types import CodeLengths, Frequencies, Rows, Symbols

RULES = ("calibrated", "one-step")
"""The default first."""
_WIDEST_PIXEL = 16
_BYTES = [bytes([b]) for b in range(256)]


@dataclass(frozen=True)
class CodeLengthModel(ByteModel):
    """The next-byte distribution of ``compressor`` under ``rule``.

    ``effort`` is what the calibrated rule spends, ``fast`` or ``best``. ``window`` is N above, bytes; 0 stands for the
    compressor's own. ``stride`` is the bytes in a row of a picture or a record of a table, whose bytes above the
    calibrated rule then looks at; 0 lets it find a record length that stands out in the window, if there is one.
    ``pixel`` says that the bytes are samples, and how many lie from one to the next of its channel: each is then
    predicted from its neighbours (``signal.py``). ``depth`` is the bits of a sample, 8 or 16, the high byte first.
    """

    compressor: Compressor
    rule: str = RULES[0]
    effort: str = "fast"
    window: int = 0
    stride: int = 0
    pixel: int = 0
    depth: int = 8

    name: ClassVar[str] = "code-length"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UsageError(f"unknown rule '{self.rule}'{suggest(self.rule, RULES)}")
        if self.effort not in EFFORTS:
            raise UsageError(f"unknown effort '{self.effort}'{suggest(self.effort, EFFORTS)}")
        if self.effort != "fast" and self.rule != "calibrated":
            raise UsageError(f"effort is for the calibrated rule; leave it out with rule={self.rule}")
        Layout(self.stride)
        if not 0 <= self.pixel <= _WIDEST_PIXEL or (self.pixel and self.stride % self.pixel):
            raise UsageError(f"pixel must be 0 to {_WIDEST_PIXEL} bytes, and divide the stride, not {self.pixel}")
        if self.depth not in (8, 16) or self.pixel * 8 % self.depth:
            raise UsageError(f"depth must be 8 or 16 bits, and pixels whole samples, not {self.depth}")
        if self.window < 0:
            raise UsageError(f"window must be a number of bytes, or 0 for the compressor's own, not {self.window}")

    @property
    def spec(self) -> Spec:
        """The compressor's spec, with rule and window where they differ from the defaults."""
        spec = self.compressor.spec
        given = (
            ("rule", self.rule, RULES[0]),
            ("effort", self.effort, "fast"),
            ("window", self.window, 0),
            ("stride", self.stride, 0),
            ("pixel", self.pixel, 0),
            ("depth", self.depth, 8),
        )
        options = tuple((key, str(value)) for key, value, default in given if value != default)
        return Spec(spec.name, spec.argument, spec.options + options)

    @classmethod
    def option_names(cls) -> list[str]:
        """Names of the options that a compressor's spec may set for its model."""
        return ["rule", "effort", "window", "stride", "pixel", "depth"]

    @classmethod
    def over(cls, compressor: Compressor, options: Mapping[str, str]) -> CodeLengthModel:
        """Return the model over ``compressor`` that the options of a spec describe.

        Raises:
            SpecError: an option does not convert to its type.
        """
        hints = typing.get_type_hints(cls)
        converted = {key: convert(f"{compressor.name}:{key}", text, hints[key]) for key, text in options.items()}
        return cls(compressor, **converted)

    def laid_out(self, layout: Layout) -> CodeLengthModel:
        """Return it over the compressor laid out so, with stride and pixel of ``layout`` if it has neither."""
        compressor = self.compressor.laid_out(layout)
        if self.stride or self.pixel or self.rule != "calibrated":
            return dataclasses.replace(self, compressor=compressor)
        depth = layout.bits if layout.pixel else 8
        return dataclasses.replace(self, compressor=compressor, stride=layout.stride, pixel=layout.pixel, depth=depth)

    @property
    def _layout(self) -> Layout:
        """What the calibrated rule knows of how the bytes lie."""
        return Layout(self.stride, self.pixel * 8 // self.depth, self.depth)

    @property
    def context_window(self) -> Window:
        """The rule by which a row's window grows and reopens."""
        return Window(self.window or self.compressor.window)

    @property
    def warm_up(self) -> int | None:
        """The warm-up of the calibrated rule; the one-step rule does not learn."""
        return warm_up(self.pixel) if self.rule == "calibrated" else None

    @property
    def versions(self) -> str:
        """The compressor's library."""
        return self.compressor.version()

    def behaviour(self, probe: bytes) -> bytes:
        """Return the compressor's code lengths of beginnings of ``probe``, as 64-bit numbers."""
        pieces = [probe[:size] for size in range(0, len(probe), len(probe) // 24)]
        return self.compressor.code_lengths(b"", [*pieces, probe]).astype("<f8").tobytes()

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``; equal prompts share their work until they part."""
        if self.rule == "calibrated":
            return CalibratedState.start(self.compressor, self.effort, self.context_window.size, self._layout, prompts)
        contexts = {prompt: _Context.open(self, prompt) for prompt in dict.fromkeys(prompts)}
        return CodeLengthState([contexts[prompt] for prompt in prompts])


class CodeLengthState(State):
    """Rows over shared, immutable contexts: to fork is to copy references, and equal rows cost one."""

    def __init__(self, contexts: list[_Context]) -> None:
        self._contexts = contexts

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._contexts)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies by the rule."""
        return np.stack([context.frequencies() for context in self._contexts])

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row; rows that were equal and stay equal go on sharing."""
        children: dict[tuple[int, int], _Context] = {}
        for context, symbol in zip(self._contexts, symbols.tolist(), strict=True):
            if (id(context), symbol) not in children:
                children[id(context), symbol] = context.extended(symbol)
        self._contexts = [children[id(c), s] for c, s in zip(self._contexts, symbols.tolist(), strict=True)]

    def fork(self, rows: Rows) -> CodeLengthState:
        """Return a state of the given rows."""
        return CodeLengthState([self._contexts[row] for row in rows])

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) L(context + symbol) - L(context), bits."""
        added = (c.added_lengths()[s] for c, s in zip(self._contexts, symbols.tolist(), strict=True))
        return np.fromiter(added, np.float64, self.rows)

    def code_waste(self) -> NDArray[np.float64]:
        """Return (B,) log2 of the sum over bytes of 2**-(L(context + byte) - L(context)), bits."""
        added = np.stack([context.added_lengths() for context in self._contexts])
        least = added.min(axis=1, keepdims=True)
        waste: NDArray[np.float64] = np.log2(np.exp2(least - added).sum(axis=1)) - least[:, 0]
        return waste


class _Context:
    """One row's window and the meter that stands after it; never changed once made."""

    def __init__(self, model: CodeLengthModel, meter: Meter, window: bytes) -> None:
        self._model = model
        self._meter = meter
        self._window = window
        self._lengths: CodeLengths | None = None
        self._frequencies: Frequencies | None = None

    @classmethod
    def open(cls, model: CodeLengthModel, prompt: bytes) -> _Context:
        window = model.context_window.visible(prompt)
        return cls(model, model.compressor.open(window), window)

    def extended(self, symbol: int) -> _Context:
        """Return the context with one byte more."""
        window = self._window + _BYTES[symbol]
        if self._model.context_window.is_full(len(window)):
            return _Context.open(self._model, window)
        meter = self._meter.fork()
        meter.extend(_BYTES[symbol])
        return _Context(self._model, meter, window)

    def _measured(self) -> CodeLengths:
        """(257,) code lengths after each byte, and at the end after none, bits."""
        if self._lengths is None:
            self._lengths = self._meter.code_lengths([*_BYTES, b""])
        return self._lengths

    def added_lengths(self) -> CodeLengths:
        """(256,) bits that each byte would add."""
        lengths = self._measured()
        added: CodeLengths = lengths[:256] - lengths[256]
        return added

    def frequencies(self) -> Frequencies:
        """(256,) frequencies."""
        if self._frequencies is None:
            self._frequencies = frequencies_from_lengths(self._measured()[None, :256])[0]
        return self._frequencies

"""A next-byte distribution from any compressor's code lengths.

``one_step.py`` holds the paper's rule, ``decoder.py`` the law of the compressor's own decoder, ``calibrated.py`` the
parts of that law with trust that is learnt, ``proposals.py`` the calibrated rule without a law. Under all, a row's
context window grows to 2N bytes and reopens on its last N (``compgen.models.window``).
"""

from __future__ import annotations

import dataclasses
import functools
import time
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from compgen.compressors.base import Compressor
from compgen.errors import UsageError
from compgen.laws.base import Law, NoLaw
from compgen.media.layout import Layout
from compgen.models.base import ROW, ByteModel, State
from compgen.models.contexts.records import samples_layout
from compgen.models.derived.calibrated import PROBED, WARM_UP, CalibratedRow, memory
from compgen.models.derived.decoder import DecoderRow, LawRowsState
from compgen.models.derived.effort import EFFORTS, FAST
from compgen.models.derived.one_step import OneStepState
from compgen.models.derived.proposals import Proposals, ProposalsRow
from compgen.models.rows import RowsState
from compgen.models.window import Window
from compgen.registry import Spec, convert, suggest

_CALIBRATED = "calibrated"
_DECODER = "decoder"
_ONE_STEP = "one-step"
RULES = (_DECODER, _CALIBRATED, _ONE_STEP)
"""The rules by which a compressor becomes a distribution."""
_CALLS = {_DECODER: 150, _CALIBRATED: 1200, _ONE_STEP: 4700}
"""Code lengths that a fingerprint measures, by rule. Counted; the calibrated rule measures 256 more at each step if it
reads the codes of an arithmetic coder."""
_TABLES_TIME = 0.25
"""Seconds of a fingerprint besides code lengths. Measured without numba: up to 0.2, for brotli."""
_SAMPLES_TIME = 1.3
"""The same for a model of samples: their prediction learns as it warms up. Measured: 1.2."""
_FIT_TIME, _FIT_CALLS = 0.8, 1800
"""Seconds, and code lengths besides, of the fit of a law, which a model checks when it is built. Measured without
numba, with the fingerprint: 0.4 to 1.25 s, and 1.8 to 2.4 s for ``brotli:quality=11``."""
_STARTS = 2
"""Starts of a law in a fingerprint, besides the one on no bytes. Counted."""
_PREFIXES = 24
"""Prefixes of a probe whose code lengths go into a fingerprint. Chosen, and now part of the file format."""


_SHARE_OF_LAW = 0.4
"""The share of ``Law.parts_time`` that a law alone takes. Measured: 0.38 to 0.47, of gzip, ppmd and xz."""
_LAW_GAIN = 10.0
"""How many times as fast compiled loops make a law alone. Measured: 7 to 14, of xz, gzip and ppmd."""
_PROPOSALS_TIME = 6e-4
"""Seconds a byte of the calibrated rule without a law. Measured: 0.55 ms, of bz2."""
_CONTEXT = bytes(range(32, 127)) * 10
"""What a measurement of the one-step rule begins with. Chosen."""


@dataclass(frozen=True)
class CodeLengthModel(ByteModel):
    """The next-byte distribution of ``compressor`` under ``rule``.

    Attributes:
        compressor: gives the code lengths.
        rule: how the compressor becomes a distribution, one of RULES; empty for the default (``chosen_rule``).
        effort: what the calibrated rule may spend, ``fast`` or ``best``. This, stride, pixel and depth are for
            compressors without a law; others refuse them.
        window: N, bytes of the context window; 0 for the compressor's own.
        stride: bytes in a row of a picture or in a record of a table. The calibrated rule looks at the bytes above.
            With 0 it looks for a record length in the window.
        pixel: bytes from one sample to the next of its channel, for bytes that are samples of pictures or sound. The
            calibrated rule then predicts each sample from its neighbours (``signal.py``). 0 for other bytes.
        depth: bits of a sample, 8 or 16, the high byte first.
    """

    compressor: Compressor = field(metadata={"argument": True})
    rule: str = ""
    effort: str = FAST.name
    window: int = 0
    stride: int = 0
    pixel: int = 0
    depth: int = 8

    name: ClassVar[str] = "code-length"

    def __post_init__(self) -> None:
        if self.rule and self.rule not in RULES:
            raise UsageError(f"unknown rule '{self.rule}'{suggest(self.rule, RULES)}")
        if self.effort not in EFFORTS:
            raise UsageError(f"unknown effort '{self.effort}'{suggest(self.effort, EFFORTS)}")
        if self.effort != FAST.name and self.rule not in ("", _CALIBRATED):
            raise UsageError(f"effort is for the calibrated rule; leave it out with rule={self.rule}")
        if self.rule == _DECODER:
            self.compressor.law()  # which says if there is none
        if self.effort != FAST.name and self._law is not None:
            raise UsageError(f"effort is for compressors without a law, and '{self.compressor}' has one; leave it out")
        if (self.stride or self.pixel or self.depth != 8) and self._law is not None:
            raise UsageError(
                f"stride, pixel and depth are for compressors without a law, and '{self.compressor}' has one; leave "
                f"them out, or mix it with a model that knows them: {self.compressor}+history, {self.compressor}+signal"
            )
        samples_layout(self.stride, self.pixel, self.depth)  # which says if there is none
        if self.window < 0:
            raise UsageError(f"window must be a number of bytes, or 0 for the compressor's own, not {self.window}")

    @property
    def spec(self) -> Spec:
        """The compressor's spec, with the model's options that differ from their defaults."""
        own = self.compressor.spec
        return Spec(own.name, own.argument, own.options + super().spec.options)

    @classmethod
    def over(cls, compressor: Compressor, options: Mapping[str, str]) -> CodeLengthModel:
        """Return the model over ``compressor`` with the ``options`` of a spec, which are still text.

        Raises:
            SpecError: an option's text is not of the option's type.
        """
        hints = typing.get_type_hints(cls)
        converted = {key: convert(f"{compressor.name}:{key}", text, hints[key]) for key, text in options.items()}
        return cls(compressor, **converted)

    def laid_out(self, layout: Layout) -> CodeLengthModel:
        """Return the model for bytes with ``layout``, which its compressor gets.

        Where it has no law, the calibrated rule takes stride, pixel and depth as well, if it has neither stride nor
        pixel.
        """
        compressor = self.compressor.laid_out(layout)
        if self._law is not None or self.stride or self.pixel or self.rule not in ("", _CALIBRATED):
            return dataclasses.replace(self, compressor=compressor)
        depth = layout.bits if layout.pixel else 8
        return dataclasses.replace(self, compressor=compressor, stride=layout.stride, pixel=layout.pixel, depth=depth)

    @property
    def context_window(self) -> Window:
        """The rule by which a row's window grows and reopens. N is whole units of the compressor, one at least."""
        by_law = self._law is not None and self.chosen_rule != _ONE_STEP
        own = self.compressor.law_window if by_law else self.compressor.window
        unit = self.compressor.unit
        return Window(max((self.window or own) // unit, 1) * unit)

    @functools.cached_property
    def _law(self) -> Law | None:
        """The compressor's law; None if it has none."""
        try:
            return self.compressor.law()
        except NoLaw:
            return None

    @functools.cached_property
    def chosen_rule(self) -> str:
        """The rule, or if none is named: ``decoder`` for a compressor that has a law, ``calibrated`` for others."""
        return self.rule or (_CALIBRATED if self._law is None else _DECODER)

    @property
    def by_proposals(self) -> bool:
        """Whether compgen proposes what may follow and the compressor only sets prices: for want of a law."""
        return self._law is None and self.chosen_rule == _CALIBRATED

    def resolved(self, rule: str = "") -> CodeLengthModel:
        """Return the model with its rule named; see ``ByteModel.resolved``."""
        return dataclasses.replace(self, rule=self.rule or rule or self.chosen_rule)

    @property
    def _proposals(self) -> Proposals:
        """What the rows of the calibrated rule have in common where there is no law."""
        layout = samples_layout(self.stride, self.pixel, self.depth)
        return Proposals(self.compressor, EFFORTS[self.effort], self.context_window, layout)

    @property
    def warm_up(self) -> int | None:
        """Bytes of the calibrated rule's warm-up; None under the other rules, which do not learn.

        The law of ``model:SPEC`` learns as its model does.
        """
        if self.chosen_rule == _ONE_STEP:
            return None
        if self._law is None:
            return self._proposals.warm_up
        if self.chosen_rule == _DECODER:
            return self._law.warm_up
        return WARM_UP + (self._law.warm_up or 0)

    @property
    def versions(self) -> str:
        """The compressor's library and its version."""
        return self.compressor.version()

    def behaviour(self, probe: bytes) -> bytes:
        """Return the compressor's code lengths of prefixes of ``probe``, bits, as little-endian float64."""
        prefixes = [probe[:size] for size in range(0, len(probe), len(probe) // _PREFIXES)]
        return self.compressor.code_lengths(b"", [*prefixes, probe]).astype("<f8").tobytes()

    @property
    def start_time(self) -> float:
        """Seconds of what a fingerprint and the fit of a law measure, of starts of a law, and of the rule's tables."""
        calls, seconds = _CALLS[self.chosen_rule], _TABLES_TIME
        if self.chosen_rule == _ONE_STEP:
            pass
        elif self._law is None:
            calls += self._proposals.calls_to_warm_up + (_CALLS[_ONE_STEP] if self._proposals.has_code_values else 0)
            seconds += _SAMPLES_TIME if self.pixel else 0
        else:
            calls = _CALLS[_DECODER]
            seconds += _STARTS * self._law.start_time
            if self.compressor.law_kind == "fitted":
                calls, seconds = calls + _FIT_CALLS, seconds + _FIT_TIME
            if self.chosen_rule == _CALIBRATED:
                seconds += PROBED * self._law.parts_time
        return seconds + 1e-6 * calls * self.compressor.call_time

    @property
    def byte_time(self) -> float:
        """Seconds a byte: of code lengths under the one-step rule, otherwise of a law, or of its parts."""
        if self.chosen_rule == _ONE_STEP:
            return self._one_step_time
        if self._law is None:
            return _PROPOSALS_TIME
        return self._law.parts_time * (_SHARE_OF_LAW if self.chosen_rule == _DECODER else 1)

    @property
    def compiled_gain(self) -> float:
        """Most for a law alone. Without a law, and by the one-step rule, time goes to the compressor's library."""
        if self.chosen_rule == _ONE_STEP or self._law is None:
            return 1.0
        return _LAW_GAIN if self.chosen_rule == _DECODER else super().compiled_gain

    @functools.cached_property
    def _one_step_time(self) -> float:
        """Seconds that the code lengths of all bytes take, after a context. Measured here and now."""
        meter = self.compressor.open(_CONTEXT)
        begin = time.perf_counter()
        meter.code_lengths([bytes([symbol]) for symbol in range(256)])
        return time.perf_counter() - begin

    def memory(self, rows: int, length: int) -> int:
        """Return the bytes of an encoder and of ``rows`` rows; see ``ByteModel.memory``."""
        size = min(length, self.context_window.limit)
        meter = self.compressor.meter_memory(size) + size
        if self.chosen_rule == _ONE_STEP:
            row = 2 * meter  # those before a byte, and those after it
        elif self._law is None:
            row = 2 * meter + self._proposals.memory(size)
        else:
            row = self._law.state_memory(size) + size + (memory(size) if self.chosen_rule == _CALIBRATED else 0)
        return self.compressor.encoder_memory(size) + rows * (ROW + row)

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``; rows with equal prompts share their work until they part."""
        if self.chosen_rule == _ONE_STEP:
            return OneStepState.start(self.compressor, self.context_window, prompts)
        if self._law is None:
            return RowsState.start(functools.partial(ProposalsRow.after, self._proposals), prompts)
        row = CalibratedRow.after if self.chosen_rule == _CALIBRATED else DecoderRow
        return LawRowsState.start(functools.partial(row, self.compressor, self._law, self.context_window), prompts)

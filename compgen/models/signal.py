"""The model ``signal``: samples of pictures and sound, predicted as numbers, and no compressor.

Predictions of the next sample (``samples/prediction.py``) are mixed with what followed the contexts of the present
before, those of ``history`` without sparse contexts and words. In rows, contexts reach into the row above.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.base import ROW, ByteModel, State
from compgen.models.contexts.records import samples_layout
from compgen.models.contexts.row import ContextRow, Plan
from compgen.models.history import check_window
from compgen.models.rows import RowsState
from compgen.models.window import Window

_WARM_UP = 1024
"""Bytes at the end of a prompt that a row learns from. Chosen: docs/log.md, "samples that stay signals", has the rates
with this and with a longer one (2.75 and 2.73 bits per byte)."""
_START = 2.5
"""Seconds of a fingerprint at most. Measured without numba: 1.3."""


@dataclass(frozen=True)
class SignalModel(ByteModel):
    """Samples, predicted from their neighbours and by contexts.

    Attributes:
        stride: bytes in a row of a picture; 0 for samples in a line, as those of sound are.
        pixel: bytes from one sample to the next of its channel, 1 or more.
        depth: bits of a sample, 8 or 16, the high byte first.
        window: N, bytes of the context window.
    """

    stride: int = 0
    pixel: int = 1
    depth: int = 8
    window: int = 32_768

    name: ClassVar[str] = "signal"

    def __post_init__(self) -> None:
        if self.pixel < 1:
            raise UsageError(f"signal:pixel must be the bytes of a pixel or frame, 1 or more, not {self.pixel}")
        samples_layout(self.stride, self.pixel, self.depth)
        check_window(self.window)

    @property
    def _plan(self) -> Plan:
        return Plan(Window(self.window), samples_layout(self.stride, self.pixel, self.depth), _WARM_UP)

    @property
    def warm_up(self) -> int:
        """Bytes at the end of a prompt that a row learns from."""
        return _WARM_UP

    @property
    def byte_time(self) -> float:
        """Measured: 0.44 ms, of sound."""
        return 4.5e-4

    @property
    def start_time(self) -> float:
        """Seconds of a fingerprint, which learns from nearly all of its contexts."""
        return _START + self._plan.reopening_time

    def laid_out(self, layout: Layout) -> SignalModel:
        """Return the model for samples with ``layout``, unless its own options or the layout say otherwise."""
        given = self.stride, self.pixel, self.depth
        if not layout.pixel or given != (SignalModel.stride, SignalModel.pixel, SignalModel.depth):
            return self
        return dataclasses.replace(self, stride=layout.stride, pixel=layout.pixel, depth=layout.bits)

    def memory(self, rows: int, length: int) -> int:
        """Return the bytes that ``rows`` rows take at most; see ``ByteModel.memory``."""
        plan = self._plan
        return rows * (ROW + plan.memory(min(length, plan.window.limit)))

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``; rows with equal prompts share their work until they part."""
        return RowsState.start(functools.partial(ContextRow.after, self._plan), prompts)

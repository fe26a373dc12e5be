"""The model ``history``: what followed the contexts of the present before, and no compressor.

Contexts are the last 1 to 24 bytes, sparse ones, words, and in records the bytes above (``contexts/patterns.py``). Each
makes a distribution by what followed its latest occurrences, blended with that of a shorter context. A mixer multiplies
them with exponents that depend on how the contexts have done (``mixing.py``). So it is a context mixing model of bytes,
in integers: PAQ (Mahoney 2005) mixes bits in this way.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.base import ROW, ByteModel, State
from compgen.models.contexts.row import ContextRow, Plan
from compgen.models.rows import RowsState
from compgen.models.window import Window

_WARM_UP = 2048
"""Bytes at the end of a prompt that a row learns from. Chosen: 256 cost 0.01 bits per byte on text, and 6,000 gained
0.01 there and take a second more without numba (docs/log.md, "a context model without a compressor")."""
_START = 1.5
"""Seconds of a fingerprint at most. Measured without numba: 0.7."""


def check_window(window: int) -> None:
    """Check the option ``window`` of a model.

    Raises:
        UsageError: it is no number of bytes.
    """
    if window < 1:
        raise UsageError(f"window must be a number of bytes, 1 or more, not {window}")


@dataclass(frozen=True)
class HistoryModel(ByteModel):
    """Contexts of the bytes so far, counted and mixed.

    Attributes:
        stride: bytes in a row of a picture or in a record of a table; the model looks at the bytes above too. With 0 it
            looks for a record length in the window.
        window: N, bytes of the context window.
    """

    stride: int = 0
    window: int = 32_768

    name: ClassVar[str] = "history"

    def __post_init__(self) -> None:
        Layout(self.stride)  # which says if the stride is none
        check_window(self.window)

    @property
    def _plan(self) -> Plan:
        return Plan(Window(self.window), Layout(self.stride), _WARM_UP)

    @property
    def warm_up(self) -> int:
        """Bytes at the end of a prompt that a row learns from."""
        return _WARM_UP

    @property
    def byte_time(self) -> float:
        """Measured: 0.43 ms, of text and sound."""
        return 4.5e-4

    @property
    def start_time(self) -> float:
        """Seconds of a fingerprint, which learns from nearly all of its contexts."""
        return _START + self._plan.reopening_time

    def laid_out(self, layout: Layout) -> HistoryModel:
        """Return the model for bytes with ``layout``, of which it takes the stride if it has none."""
        return self if self.stride else HistoryModel(layout.stride, self.window)

    def memory(self, rows: int, length: int) -> int:
        """Return the bytes that ``rows`` rows take at most; see ``ByteModel.memory``."""
        plan = self._plan
        return rows * (ROW + plan.memory(min(length, plan.window.limit)))

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``; rows with equal prompts share their work until they part."""
        return RowsState.start(functools.partial(ContextRow.after, self._plan), prompts)

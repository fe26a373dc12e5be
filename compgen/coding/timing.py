"""Estimate how long coding takes, before it begins, from what models say of their speed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from compgen.coding.sizing import sizes
from compgen.jit import numba_is_installed, work_ahead
from compgen.models import ByteModel
from compgen.models.language import LanguageModel

_LANES = 6
"""How many times as fast the shipped network is in many lanes. Measured: 5.6, in 24 lanes."""


_SHARE = 0.5
"""The part of a model's time that one group of loops takes. Chosen: if too low, seconds are lost on fallbacks."""


def seconds(model: ByteModel, size: int, *, verify: bool = True, jobs: int = 1) -> float | None:
    """Return about how many seconds it takes to compress ``size`` bytes; None if the model does not say.

    Args:
        model: the model that codes.
        size: bytes of the file.
        verify: whether it decodes what it coded, which takes as long again.
        jobs: processes.
    """
    one_pass = _byte_time(model)
    if one_pass is None:
        return None
    if isinstance(model, LanguageModel):
        one_pass /= min(_LANES, sizes(model, size, jobs).lanes)
    return size * one_pass * (2 if verify else 1) / max(1, min(jobs, os.cpu_count() or 1))


@contextmanager
def foreseen(model: ByteModel, size: int) -> Iterator[None]:
    """Let the loops of ``model`` compile at once if coding ``size`` bytes in the ``with`` block will pay for that."""
    seconds = size * (model.byte_time or 0) if numba_is_installed() and model.compiled_gain > 1 else 0
    with work_ahead(_SHARE * seconds):
        yield


def _byte_time(model: ByteModel) -> float | None:
    """Return the seconds that a byte takes here; None if the model does not say."""
    if model.byte_time is None:
        return None
    return model.byte_time / (model.compiled_gain if numba_is_installed() else 1)

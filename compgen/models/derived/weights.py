"""The mixer's weights of a row that has learnt nothing yet."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.models.mixing import WEIGHT_ONE

ABOVE_PERCENT = 50
"""Percent of the weight that experts over the rows above begin with, together. No fit covers records: chosen."""
CODE_VALUES_PERCENT = 70
"""Percent of the weight that the expert of code values begins with. No fit covers it: chosen, as it is nearly exact."""


@functools.cache
def initial_weights(name: str) -> tuple[NDArray[np.int64], ...]:
    """Return the fitted weights: for each family of sets, (sets, experts) in units of 1 / WEIGHT_ONE.

    Callers share the arrays and must not change them. ``benchmarks/fit_calibration.py`` wrote ``calibration.json``.

    Args:
        name: an effort's name; for samples ``rows`` (pictures) or ``line`` (sound).
    """
    text = importlib.resources.files("compgen.models.derived").joinpath("calibration.json").read_text(encoding="utf-8")
    return tuple(np.array(family, dtype=np.int64) for family in json.loads(text)[name])


def with_experts(families: Sequence[NDArray[np.int64]], more: int, percent: int) -> list[NDArray[np.int64]]:
    """Return weights for ``more`` further experts, which share ``percent`` of the weight evenly.

    Args:
        families: for each family, (sets, experts) weights. The old experts keep ``100 - percent`` percent of theirs.
        more: experts to append, 0 or more.
        percent: the weight of all new experts together.
    """
    if not more:
        return list(families)
    widened = []
    for number, family in enumerate(families):
        # A row adds up one set of each family, so the first family alone gives the new experts their weight.
        weight = WEIGHT_ONE * percent // (100 * more) if number == 0 else 0
        added = np.full((len(family), more), weight, dtype=np.int64)
        widened.append(np.hstack([family * (100 - percent) // 100, added]))
    return widened

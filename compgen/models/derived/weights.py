"""The mixer's weights of a row that has learnt nothing yet."""

from __future__ import annotations

import functools
import importlib.resources
import json

import numpy as np
from numpy.typing import NDArray

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

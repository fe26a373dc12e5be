"""What a row that has learnt nothing yet begins with: weights of the mixer, and escapes."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compgen.models.mixing import WEIGHT_ONE


class Initial(NamedTuple):
    weights: tuple[NDArray[np.int64], ...]
    escapes: NDArray[np.int64]


@functools.cache
def initial(name: str) -> Initial:
    text = importlib.resources.files("compgen.models.contexts").joinpath("weights.json").read_text(encoding="utf-8")
    fitted = json.loads(text)[name]
    return Initial(
        tuple(np.array(f, dtype=np.int64) for f in fitted["weights"]), np.array(fitted["escapes"], dtype=np.int64)
    )


def with_experts(families: Sequence[NDArray[np.int64]], more: int, percent: int, at: int) -> list[NDArray[np.int64]]:
    if not more:
        return list(families)
    widened = []
    for number, family in enumerate(families):
        weight = WEIGHT_ONE * percent // (100 * more) if number == 0 else 0
        added = np.full((len(family), more), weight, dtype=np.int64)
        kept = family * (100 - percent) // 100
        widened.append(np.hstack([kept[:, :at], added, kept[:, at:]]))
    return widened

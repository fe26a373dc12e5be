"""What a row that has learnt nothing yet begins with: the mixer's weights, and escapes."""

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
    """What was fitted. Rows share the arrays and must not change them.

    Attributes:
        weights: for each family of sets, (sets, experts) in units of 1 / WEIGHT_ONE.
        escapes: (contexts, KINDS) in units of 2**-16; see ``blending.py``.
    """

    weights: tuple[NDArray[np.int64], ...]
    escapes: NDArray[np.int64]


@functools.cache
def initial(name: str) -> Initial:
    """Return what ``benchmarks/fit_contexts.py`` fitted and wrote to ``weights.json``.

    Args:
        name: ``bytes``; for samples ``rows`` (pictures) or ``line`` (sound).
    """
    text = importlib.resources.files("compgen.models.contexts").joinpath("weights.json").read_text(encoding="utf-8")
    fitted = json.loads(text)[name]
    weights = tuple(np.array(family, dtype=np.int64) for family in fitted["weights"])
    return Initial(weights, np.array(fitted["escapes"], dtype=np.int64))


def with_experts(
    families: Sequence[NDArray[np.int64]], more: int, percent: int, at: int | None = None
) -> list[NDArray[np.int64]]:
    """Return weights for ``more`` further experts, which share ``percent`` of the weight evenly.

    Args:
        families: for each family, (sets, experts) weights. The old experts keep ``100 - percent`` percent of theirs.
        more: experts to add, 0 or more.
        percent: the weight of all new experts together.
        at: the number of the first new expert; by default they come last.
    """
    if not more:
        return list(families)
    widened = []
    for number, family in enumerate(families):
        # A row adds up one set of each family, so the first family alone gives the new experts their weight.
        weight = WEIGHT_ONE * percent // (100 * more) if number == 0 else 0
        added = np.full((len(family), more), weight, dtype=np.int64)
        kept = family * (100 - percent) // 100
        widened.append(np.hstack([kept[:, :at], added, *([] if at is None else [kept[:, at:]])]))
    return widened

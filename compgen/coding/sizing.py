"""How a file is cut: into segments, and each segment into lanes that are coded side by side.

The bounds of the format, MAX_SEGMENT and MAX_LANES, are in ``container.py``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from compgen.coding.container import MAX_SEGMENT
from compgen.models import ByteModel
from compgen.models.language import LanguageModel

WORTH_A_LANE = 4096
"""Bytes for each lane, at least. A lane begins with nothing known, which costs about 9 bytes more of code."""

SEGMENT = 1 << 20
"""Bytes in a segment, if nothing speaks for more or fewer."""

_CHECKED_SEGMENT = 1 << 17
"""The same where floats decide. A decoder whose floats differ finds out only at the end of a segment."""

_LEAST_OF_A_JOB = 1 << 14
"""Bytes that each process gets, at least: segments of several processes know nothing of each other."""


@dataclass(frozen=True)
class Sizes:
    """How a file is cut: ``lanes`` in each segment, and ``segment`` bytes in each but the last."""

    lanes: int
    segment: int


def depends_on_total(model: ByteModel, jobs: int, lanes: int | None) -> bool:
    """Return whether ``sizes`` gives others for other totals."""
    return jobs > 1 or (lanes is None and isinstance(model, LanguageModel))


def sizes(model: ByteModel, total: int | None, jobs: int = 1, lanes: int | None = None) -> Sizes:
    """Return how to cut a file.

    Args:
        model: what codes it.
        total: bytes of the file; None for very many.
        jobs: processes; there will be a segment for each, at least.
        lanes: in each segment; None for as many as suit the model and the segment.
    """
    total = sys.maxsize if total is None else total
    most = min(MAX_SEGMENT, max(_LEAST_OF_A_JOB, -(-total // jobs))) if jobs > 1 else MAX_SEGMENT
    if lanes is None:
        useful = model.most_lanes if isinstance(model, LanguageModel) else 1
        lanes = max(1, min(useful, min(total, most) // WORTH_A_LANE))
    usual = SEGMENT if model.reproducible else _CHECKED_SEGMENT
    return Sizes(lanes, min(most, max(usual, lanes * WORTH_A_LANE)))

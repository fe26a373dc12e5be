"""Choose how a file is cut: the size of its segments, and the number of lanes in each.

The bounds that the format sets, MAX_SEGMENT and MAX_LANES, are in ``container.py``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from compgen.coding.container import MAX_SEGMENT
from compgen.models import ByteModel
from compgen.models.language import LanguageModel, TokenModel

WORTH_A_LANE = 4096
"""Bytes that a lane gets at least. Chosen: a lane starts with nothing known, which costs about 10 bytes of code
(docs/language-models.md), so this many bytes keep the cost near 0.25%."""

WORTH_A_TOKEN_LANE = 1 << 16
"""The same for a model with a tokeniser. Chosen: such a model learns much from what it has read, and 64 KB keep the
cost of a lane below 1% (docs/language-models.md)."""

SEGMENT = 1 << 20
"""The usual size of a segment, bytes. Chosen: large enough that segments cost next to nothing, and small enough that a
reader holds little in memory and finds damage soon."""

_CHECKED_SEGMENT = 1 << 17
"""The usual size of a segment if floats decide, bytes. Chosen: a decoder whose floats differ finds out only at the end
of a segment, where the checksum is."""

_LEAST_OF_A_JOB = 1 << 14
"""Bytes that each process gets at least. Chosen: segments of several processes share no knowledge, and smaller ones
would cost too much rate."""


@dataclass(frozen=True)
class Sizes:
    """How a file is cut.

    Attributes:
        lanes: parts of each segment that are coded side by side.
        segment: bytes in each segment but the last.
    """

    lanes: int
    segment: int


def depends_on_total(model: ByteModel, jobs: int, lanes: int | None) -> bool:
    """Return whether ``sizes`` depends on the total size of the file."""
    return jobs > 1 or (lanes is None and isinstance(model, LanguageModel))


def sizes(model: ByteModel, total: int | None, jobs: int = 1, lanes: int | None = None) -> Sizes:
    """Choose the number of lanes and the size of a segment.

    Args:
        model: the model that codes the file.
        total: bytes of the file; None if the file is longer than can be known beforehand.
        jobs: processes. There is at least one segment for each, if the file is long enough.
        lanes: lanes in each segment, if the caller has chosen them; None for as many as suit the model and the file.
    """
    total = sys.maxsize if total is None else total
    most = min(MAX_SEGMENT, max(_LEAST_OF_A_JOB, -(-total // jobs))) if jobs > 1 else MAX_SEGMENT
    if lanes is None:
        worth = WORTH_A_TOKEN_LANE if isinstance(model, TokenModel) else WORTH_A_LANE
        useful = model.most_lanes if isinstance(model, LanguageModel) else 1
        lanes = max(1, min(useful, min(total, most) // worth))
    else:
        worth = WORTH_A_LANE
    usual = SEGMENT if model.reproducible else _CHECKED_SEGMENT
    return Sizes(lanes, min(most, max(usual, lanes * worth)))

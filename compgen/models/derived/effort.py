"""The dial ``effort``: what the calibrated rule may spend on each byte."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """One setting of the dial.

    Attributes:
        name: the option's value in a spec.
        most: for each of ``experts.ORDERS``, the number of latest occurrences that count.
        sparse: the same for each of the first ``len(sparse)`` sparse contexts.
        every: bytes between two measurements of prices.
        spans: spans that one such measurement prices.
        code_values: whether to read probabilities from the codes of an arithmetic coder: 256 encodings a byte.
    """

    name: str
    most: tuple[int, ...]
    sparse: tuple[int, ...]
    every: int
    spans: int
    code_values: bool


FAST = Effort("fast", (192, 96, 64, 32, 24, 16, 12, 8, 8, 6), (), every=4, spans=2, code_values=False)
BEST = Effort(
    "best",
    (512, 256, 128, 64, 48, 32, 24, 16, 12, 8),
    (256, 128, 192, 128, 64),
    every=1,
    spans=4,
    code_values=True,
)
EFFORTS = {effort.name: effort for effort in (FAST, BEST)}
"""The settings by name, the default first.

Their numbers were chosen. More occurrences, sparse contexts and prices lower the rate and cost time; the table "What it
reaches" in docs/calibration.md has both. Short contexts occur often and say little each, so more of them count.
"""

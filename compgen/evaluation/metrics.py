"""What can be measured about a sample."""

from __future__ import annotations


def copy_rate(sample: bytes, context: bytes, width: int = 16) -> float:
    """Return the share of the sample's windows of ``width`` bytes that stand verbatim in the context.

    0 for a sample shorter than one window: it has copied nothing that could be called so.
    """
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return sum(window in context for window in windows) / len(windows) if windows else 0.0

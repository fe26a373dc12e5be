"""What can be measured about a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def copy_rate(sample: bytes, context: bytes, width: int = 16) -> float:
    """Return the share of the sample's windows of ``width`` bytes that stand verbatim in the context.

    0 for a sample shorter than one window: it has copied nothing that could be called so.
    """
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return sum(window in context for window in windows) / len(windows) if windows else 0.0


def distinct(sample: bytes, width: int = 4) -> float:
    """Return the share of distinct ones among the sample's windows of ``width`` bytes: low where it goes in circles."""
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return len(set(windows)) / len(windows) if windows else 0.0


def divergence(a: bytes, b: bytes) -> float:
    """Return the Jensen-Shannon divergence of two strings' byte counts, bits: 0 where they are alike, 1 at most."""
    shares = [_shares(a), _shares(b)]
    return _entropy((shares[0] + shares[1]) / 2) - (_entropy(shares[0]) + _entropy(shares[1])) / 2


def _shares(data: bytes) -> NDArray[np.float64]:
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    return np.asarray(counts / max(1, counts.sum()), dtype=np.float64)


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())

"""Type aliases with shapes and units. B is the number of rows (sequences in lockstep)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CodeLengths: TypeAlias = NDArray[np.float64]
"""(n,) code lengths, bits."""

Frequencies: TypeAlias = NDArray[np.int64]
"""(B, 256) integers >= 1; every row sums to 2**PRECISION."""

Log2Probs: TypeAlias = NDArray[np.float64]
"""(B, 256) log2 of probabilities, bits, <= 0."""

Probabilities: TypeAlias = NDArray[np.float64]
"""(B, 256) probabilities; every row sums to 1."""

Symbols: TypeAlias = NDArray[np.uint8]
"""(B,) one byte for each row."""

Mask: TypeAlias = NDArray[np.bool_]
"""(B, 256) True where a byte is allowed."""

Rows: TypeAlias = Sequence[int] | NDArray[np.intp]
"""(R,) row numbers in [0, B). A selection may repeat, reorder and drop rows."""

Progress: TypeAlias = Callable[[int], None]
"""A function that is called with the number of bytes done so far."""

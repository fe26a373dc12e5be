"""Which of the mixer's sets of weights the present chooses, for bytes and for samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compgen.models.contexts.blending import KINDS
from compgen.models.contexts.occurrences import Counts, Occurrences
from compgen.models.contexts.patterns import ORDERS
from compgen.models.samples.prediction import BINS, Signal
from compgen.models.samples.prediction import KINDS as SAMPLE_KINDS

_SPREADS = 8
"""Bit lengths of a number of distinct followers that sets tell apart: 0 to 7."""
_DISTINCT_LONGEST, _DISTINCT_SHORTER = 3, 4
"""Numbers of distinct followers that sets tell apart: of the longest context, and of the next shorter one."""
_OCCURRENCES = 4
"""Bit lengths of a number of occurrences of the longest context that sets tell apart: 1 to 3, more."""
_SIZES = 64
"""Bit lengths of a window's size, all that an int64 can have."""
_LONG = ORDERS.index(8) + 1
"""Orders that must have occurred before the length of the run is looked at. Chosen: shorter ones say it themselves."""
_LONGEST_RUN, _RUNS = 400, 8
"""The longest run that is counted, bytes; and how many bit lengths of runs, in units of 8 bytes, sets tell apart."""

SETS = {
    "bytes": (
        len(ORDERS) + 1,
        _SPREADS * _SPREADS,
        1 + _DISTINCT_LONGEST * _DISTINCT_SHORTER * _OCCURRENCES,
        _SIZES,
        _RUNS,
        KINDS,
    ),
    "rows": (len(ORDERS) + 1, BINS, SAMPLE_KINDS, KINDS),
    "line": (len(ORDERS) + 1, BINS, SAMPLE_KINDS, KINDS),
}
"""The number of sets in each family, by what the bytes are. The shape of ``weights.json`` follows from them. In the
last family each context chooses its own set, by how often it occurred and how many different bytes followed."""


def orders_seen(found: Counts) -> int:
    """Return how many of ORDERS have occurred before."""
    sizes: list[int] = found.sizes[: len(ORDERS)].tolist()
    return sizes.index(0) if 0 in sizes else len(ORDERS)


def sets_of_bytes(known: Occurrences, found: Counts, kind: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (6, 1 + K) numbers of sets, for recent bytes and K contexts. All are 0 if the last byte is new.

    The families tell: the longest context that occurred; how many different bytes followed the last byte and the last
    two; the occurrences and followers of the longest context, and the followers of the next shorter one; the size of
    the window; how long the latest occurrence of the longest context has agreed with the present; and ``kind``.
    """
    sets = np.zeros((len(SETS["bytes"]), 1 + len(kind)), dtype=np.int64)
    orders = orders_seen(found)
    if not orders:
        return sets
    distinct: list[int] = found.distinct[: max(orders, 2)].tolist()
    last, last_two = (min(n.bit_length(), _SPREADS - 1) for n in distinct[:2])
    of_longest = min(distinct[orders - 1], _DISTINCT_LONGEST) - 1
    of_shorter = min(distinct[max(orders - 2, 0)], _DISTINCT_SHORTER) - 1
    seen = min(int(found.sizes[orders - 1]).bit_length(), _OCCURRENCES) - 1
    run = 0
    if orders >= _LONG:
        length = known.run(int(found.latest[orders - 1]), _LONGEST_RUN)
        run = 1 + min((length // 8).bit_length(), _RUNS - 2)
    sets[0], sets[1] = orders, _SPREADS * last + last_two
    sets[2] = 1 + (of_longest * _DISTINCT_SHORTER + of_shorter) * _OCCURRENCES + seen
    sets[3], sets[4] = known.window_size.bit_length(), run
    sets[5, 1:] = kind
    return sets


def sets_of_samples(signal: Signal, found: Counts, kind: NDArray[np.int64], experts: int) -> NDArray[np.int64]:
    """Return (4, E) numbers of sets, for recent bytes, K contexts and predictions, together E ``experts``.

    The families tell: the longest context that occurred; the size of the errors around the sample; its channel and
    which of its bytes comes; and ``kind``, which is (K,).
    """
    sets = np.zeros((4, experts), dtype=np.int64)
    sets[0], sets[1], sets[2] = orders_seen(found), signal.activity, signal.kind
    sets[3, 1 : 1 + len(kind)] = kind
    return sets

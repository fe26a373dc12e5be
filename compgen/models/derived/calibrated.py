"""The calibrated rule over a compressor with a law: the parts of the law, mixed, with trust that is learnt.

The experts are the parts of the compressor's own law and nothing else (``LawState.parts``): for a compressor that
copies, its literals, the copies that have run 1, 2, 3 ... bytes at the prices of its distances, its last distance, and
the law as a whole; for ppmd its orders; for png its filters; for flac its predictors. ``bit_mixing.py`` mixes them, and
learns how far to trust each. A row begins with the trust that ``benchmarks/fit_laws.py`` has fitted, and learns on the
last ``WARM_UP`` bytes of a prompt and from then on. A law without parts that tell anything, as that of ``null``, gives
the mixer nothing: 8 bits a byte.

docs/calibration.md has the mathematics and the measurements. A compressor without a law is calibrated by
``proposals.py``.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor
from compgen.laws.base import Law
from compgen.models.bit_mixing import WEIGHT_ONE, BitMixer
from compgen.models.derived.decoder import DecoderRow
from compgen.models.window import Window
from compgen.types import Frequencies

WARM_UP = 2048
"""Bytes at the end of a prompt that a row learns from. Chosen: they take a second without compiled loops. In a
prototype 1,024 bytes cost 0.0004 of gzip's own rate more, and 32 bytes 0.002."""

RATE = 13
"""The mixer's learning rate, in units of 2**-16. Chosen: 5 and 26 cost gzip 0.003 to 0.005 of its own rate more."""

_UNIT = 1 << 12  # the fitted weights are kept in units of 2**-12

PROBED = 1900
"""Bytes that a fingerprint makes a row learn from: all of its contexts and what follows them."""


def memory(size: int) -> int:
    """Return the bytes of memory of a row's mixer, and of what its parts know of a window of ``size`` bytes.

    The mixer's weights and the distributions of 14 parts take 0.1 MB. For each byte, copies keep a root of a price, the
    byte, and where the same byte stood before.
    """
    return (256 << 10) + 16 * size


@functools.cache
def initial_weights(family: str) -> tuple[NDArray[np.int64], ...]:
    """Return the fitted weights of laws of ``family``: (256, E) by node, then (sets, E) by each number of the parts.

    A family that was not fitted has its law as the only part, and trusts it. Callers share the arrays and must not
    change them. ``benchmarks/fit_laws.py`` wrote ``law_weights.json``.
    """
    text = importlib.resources.files("compgen.models.derived").joinpath("law_weights.json").read_text(encoding="utf-8")
    fitted = json.loads(text).get(family)
    if fitted is None:
        return (np.full((256, 1), WEIGHT_ONE, dtype=np.int64),)
    return tuple(np.array(one, dtype=np.int64) * (WEIGHT_ONE // _UNIT) for one in fitted)


class CalibratedRow(DecoderRow):
    """One sequence: its window, the law's state after it, and the trust in the parts of the law.

    Args:
        compressor: gives code lengths where someone asks.
        law: its law.
        rule: how the window grows and reopens.
        prompt: what the window is opened on; nothing is learnt from it.
        weights: what the mixer begins with. Default: the fitted weights.
    """

    def __init__(
        self,
        compressor: Compressor,
        law: Law,
        rule: Window,
        prompt: bytes,
        weights: tuple[NDArray[np.int64], ...] | None = None,
    ) -> None:
        super().__init__(compressor, law, rule, prompt)
        self.mixer = BitMixer(initial_weights(law.family) if weights is None else weights, RATE)
        self._mixed: Frequencies | None = None

    @classmethod
    def after(cls, compressor: Compressor, law: Law, rule: Window, prompt: bytes) -> Self:
        """Return the row after ``prompt``: a start on the prompt without its last bytes, which it then learns from."""
        cut = max(0, len(prompt) - WARM_UP)
        row = cls(compressor, law, rule, prompt[:cut])
        for symbol in prompt[cut:]:
            row.extend(symbol)
        return row

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies."""
        if self._mixed is None:
            self._mixed = self.mixer.mix(*self._state.parts())
        return self._mixed

    def extend(self, symbol: int) -> None:
        """Append one byte, and learn from it unless frozen."""
        self.frequencies()
        self.mixer.learn(symbol)
        self._mixed = None
        super().extend(symbol)

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; return (T,) low and (T,) frequency of their intervals."""
        low, width = np.empty(len(data), dtype=np.int64), np.empty(len(data), dtype=np.int64)
        for step, symbol in enumerate(data.tolist()):
            frequencies = self.frequencies()
            low[step], width[step] = frequencies[:symbol].sum(), frequencies[symbol]
            self.extend(symbol)
        return low, width

    def freeze(self) -> None:
        """Stop learning, in place."""
        super().freeze()
        self._mixed = None
        self.mixer.freeze()

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = super().fork()
        fork.mixer = self.mixer.fork()
        fork._mixed = None  # the fork's mixer must mix before it learns
        return fork

"""What language models add to the contract of a model: lanes, and coding by tokens.

The coder uses these classes, and ``compgen.neural`` implements them. They need NumPy alone, and so does the coder.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Never

import numpy as np
from numpy.typing import NDArray

from compgen.growing import Growing
from compgen.models.base import ByteModel

BEAM = 10
"""The beam of a model with a tokeniser by default, bits (``neural/tokens/byte_state.py``). Chosen: it costs under 0.001
bits per byte on the texts measured (docs/language-models.md)."""


class LanguageModel(ByteModel):
    """A model for which many rows side by side take little more time than one."""

    @property
    @abstractmethod
    def most_lanes(self) -> int:
        """Rows from which on more gain no speed on the current device."""


class TokenModel(LanguageModel):
    """A language model with a tokeniser. It can code a text as tokens, with one forward pass for each token."""

    @property
    @abstractmethod
    def missing(self) -> frozenset[int]:
        """The bytes that no token spells. Most tokenisers have a token for every byte."""

    @abstractmethod
    def encode(self, data: bytes) -> list[int] | None:
        """Return tokens that spell ``TokenState.lead`` and then ``data``, or None if ``data`` holds a missing byte."""

    @abstractmethod
    def token_bits(self, texts: Sequence[bytes]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return what each of ``texts`` costs, token by token, in one parallel pass over it, as papers report rates.

        A decoder steps instead, and its floats differ a little: a pass gives a rate, and no file.

        Returns:
            For each text (ends, bits), (k,) each: how many of its bytes are spelled up to each token, and the token's
            -log2 p.
        """

    @abstractmethod
    def start_tokens(self, rows: int) -> TokenState:
        """Return a state of ``rows`` rows that codes tokens, each row an empty text."""


class TokenState(Growing):
    """B texts in lockstep, coded token by token.

    Attributes:
        precision: log2 of the sum of a row's frequencies. Intervals lie in [0, 2**precision).
    """

    precision: int

    @property
    @abstractmethod
    def rows(self) -> int:
        """B, the number of texts."""

    @property
    @abstractmethod
    def lead(self) -> bytes:
        """The bytes that the tokeniser puts before every text; the tokens of a text spell them first."""

    @abstractmethod
    def append(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append one token to each row; ``tokens`` is (B,). Return (low, frequency), (B,) each, of their intervals."""

    @abstractmethod
    def append_at(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Append to each row the token whose interval holds the row's point; ``points`` is (B,).

        Return (tokens, low, frequency), (B,) each.
        """

    def _copied(self) -> Never:
        raise TypeError(f"a {type(self).__name__} cannot be copied; start another one: model.start_tokens(rows)")

    @abstractmethod
    def spell(self, tokens: NDArray[np.int64]) -> bytes:
        """Return the bytes that ``tokens``, (k,), spell."""

"""What language models add to the contract of a model: lanes, and coding by tokens.

The coder asks for these; ``compgen.neural`` implements them. NumPy alone is needed here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from compgen.models.base import ByteModel


class LanguageModel(ByteModel):
    """A model that computes many rows side by side in little more time than one."""

    @property
    @abstractmethod
    def most_lanes(self) -> int:
        """Rows from which on more gain no speed on the device in use."""


class TokenModel(LanguageModel):
    """A language model with a tokeniser: it can code a text as tokens, in one forward pass for each token."""

    @abstractmethod
    def encode(self, data: bytes) -> list[int] | None:
        """Return the tokeniser's own encoding of ``data``, or None if those tokens do not spell ``data`` again."""

    @abstractmethod
    def start_tokens(self, rows: int) -> TokenState:
        """Return a state of ``rows`` empty texts that codes tokens."""


class TokenState(ABC):
    """B texts in lockstep, coded token by token. Intervals lie in [0, 2**precision)."""

    precision: int

    @property
    @abstractmethod
    def rows(self) -> int:
        """B, the number of texts."""

    @property
    @abstractmethod
    def lead(self) -> bytes:
        """What the tokeniser puts before every text: the tokens of a text spell it first."""

    @abstractmethod
    def append(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append one token to each row; return (low, frequency), (B,) each, of their intervals."""

    @abstractmethod
    def append_at(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Append to each row the token whose interval holds the row's point; return (tokens, low, frequency)."""

    @abstractmethod
    def spell(self, tokens: NDArray[np.int64]) -> bytes:
        """Return the bytes that ``tokens`` spell."""

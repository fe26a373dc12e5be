"""A model and its tokeniser, loaded together and kept: every state of one model shares them."""

from __future__ import annotations

import functools

from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.mask_check import check_masks
from compgen.neural.tokens.tokeniser import Tokeniser


@functools.lru_cache(maxsize=2)  # chosen: a comparison of two models loads each of them once
def load_pair(folder: str, device: str, dtype: str) -> tuple[CausalLM, Tokeniser]:
    """Return the model of ``folder`` and its tokeniser.

    Errors are as in ``CausalLM.load``, ``Tokeniser.load`` and ``check_masks``.
    """
    pair = CausalLM.load(folder, device, dtype), Tokeniser.load(folder)
    check_masks(*pair)
    return pair

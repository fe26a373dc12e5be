"""A model and its tokeniser, loaded together and kept: every state of one model shares them."""

from __future__ import annotations

import functools
import hashlib

from compgen.cache import keep, recall
from compgen.neural.folder import digest
from compgen.neural.tokens.engine import CausalLM, versions
from compgen.neural.tokens.mask_check import check_masks
from compgen.neural.tokens.tokeniser import Tokeniser

_FORMAT = 1
"""Grows when the check of masks does, so that models are checked again."""


@functools.lru_cache(maxsize=2)  # chosen: a comparison of two models loads each of them once
def load_pair(folder: str, device: str, dtype: str) -> tuple[CausalLM, Tokeniser]:
    """Return the model of ``folder`` and its tokeniser.

    The masks of a model are checked once on a machine, since that takes as long as to score a sentence.

    Errors are as in ``CausalLM.load``, ``Tokeniser.load`` and ``check_masks``.
    """
    pair = CausalLM.load(folder, device, dtype), Tokeniser.load(folder)
    checked = digest(folder) + f"{_FORMAT} {versions()} {device} {dtype}".encode()
    name = f"masks-{hashlib.blake2b(checked, digest_size=16).hexdigest()}"
    if recall(name) is None:
        check_masks(*pair)
        keep(name, b"")
    return pair

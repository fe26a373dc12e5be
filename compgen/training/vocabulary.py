"""The symbols that a network reads: bytes, or tokens of a byte-level BPE vocabulary learnt from its training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

_START = "<|start|>"
"""The text of the start token, in tokenisers."""

_BYTES = 256
"""Symbols of a vocabulary of bytes, the start symbol not counted."""


class Vocabulary:
    """The symbols of a network, one of which stands before each text."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        """Take a tokeniser with a start token, or None for bytes."""
        self._tokenizer = tokenizer

    @classmethod
    def train(cls, size: int, data: NDArray[np.integer[Any]]) -> Vocabulary:
        """Return bytes for a ``size`` of 256; otherwise learn a BPE vocabulary from ``data``, (n,) bytes.

        It has at most ``size`` tokens, and a start token.
        """
        if size == _BYTES:
            return cls(None)
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size + 1,
            special_tokens=[_START],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator([_text(data)], trainer)
        return cls(tokenizer)

    @property
    def size(self) -> int:
        """How many symbols there are, the start symbol included."""
        return _BYTES + 1 if self._tokenizer is None else self._tokenizer.get_vocab_size()

    @property
    def start(self) -> int:
        """The symbol that stands before each text."""
        return _BYTES if self._tokenizer is None else self._tokenizer.get_vocab()[_START]

    def encode(self, data: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Return the symbols of (n,) bytes. Tokens leave out bytes that are not valid UTF-8."""
        if self._tokenizer is None:
            return data.astype(np.int32)
        return np.array(self._tokenizer.encode(_text(data), add_special_tokens=False).ids, dtype=np.int32)

    def save(self, folder: Path) -> None:
        """Write the tokeniser, if there is one, into the folder of the weights."""
        if self._tokenizer is not None:
            PreTrainedTokenizerFast(tokenizer_object=self._tokenizer, bos_token=_START).save_pretrained(str(folder))


def _text(data: NDArray[np.integer[Any]]) -> str:
    return data.astype(np.uint8).tobytes().decode(errors="ignore")

"""Training data: files, archives and folders as one long string of bytes, and as the symbols that a network reads.

Pictures and sound are their samples.
"""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.media import recognise
from compgen.training.vocabulary import Vocabulary

_BLOCK = 1 << 16
"""Bytes that are held out together, so that few windows lie across a border."""
_SEED = 1  # of which blocks those are


@dataclass(frozen=True, eq=False)
class Corpus:
    """Symbols to train on, symbols held out, the digest of both, and how many bytes a symbol stands for on average."""

    train: NDArray[np.integer[Any]]
    held_out: NDArray[np.integer[Any]]
    digest: str
    bytes_per_symbol: float = 1.0

    def encoded(self, vocabulary: Vocabulary) -> Corpus:
        """Return these bytes as symbols of ``vocabulary``."""
        train, held_out = vocabulary.encode(self.train), vocabulary.encode(self.held_out)
        ratio = (len(self.train) + len(self.held_out)) / (len(train) + len(held_out))
        return Corpus(train, held_out, self.digest, ratio)

    @classmethod
    def read(cls, root: Path, sources: Sequence[str], held_out: float) -> Corpus:
        """Return all of ``sources`` under ``root``, with a share of its blocks held out.

        They are the same whatever the seed of the training, so that weights which go on from others never saw them.

        Raises:
            UsageError: a source is not there, a picture or sound is damaged, or there is too little data.
            MissingExtraError: there are pictures or sound, and what reads them is not installed.
        """
        pieces = (recognise(item).encode(item)[0] for item in _items(root, sources))
        whole = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        count = len(whole) // _BLOCK
        if count < 2:
            raise UsageError(f"{len(whole)} bytes are too few to train on; give at least {2 * _BLOCK}")
        held = np.zeros(count, dtype=np.bool_)
        chosen = max(1, round(held_out * count))
        held[np.random.default_rng(_SEED).choice(count, chosen, replace=False)] = True
        blocks = whole[: count * _BLOCK].reshape(count, _BLOCK)
        digest = hashlib.blake2b(whole.data, digest_size=8).hexdigest()
        return cls(blocks[~held].reshape(-1), blocks[held].reshape(-1), digest)


def _items(root: Path, sources: Sequence[str]) -> Iterator[bytes]:
    for source in sources:
        path = root / source
        if path.is_dir():
            yield from (file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file())
        elif not path.exists():
            raise UsageError(f"there is no '{path}' to train on; docs/data.md says where to get real data")
        elif tarfile.is_tarfile(path):
            try:
                with tarfile.open(path) as archive:
                    for member in archive:
                        file = archive.extractfile(member) if member.isfile() else None
                        if file is not None:
                            yield file.read()
            except (EOFError, OSError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
                raise UsageError(f"'{path}' is damaged ({error}); fetch it anew") from None
        else:
            yield path.read_bytes()

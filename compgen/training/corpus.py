"""Training data: files, archives and folders as one long array of bytes, or of the symbols that a network reads.

Pictures and sound are read as their samples.
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
from compgen.media.audio import Audio
from compgen.training.vocabulary import Vocabulary

_BLOCK = 1 << 16
"""Bytes that are held out together. Chosen: large beside a window, so that few windows span a border of blocks."""

_SEED = 1
"""Seed of the choice of held-out blocks. Changing it would measure weights on data that they were trained on."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Training data.

    Attributes:
        train: (n,) symbols to train on.
        held_out: (m,) symbols that are never trained on.
        digest: of all bytes, as hexadecimal digits.
        bytes_per_symbol: the mean number of bytes that a symbol stands for.
    """

    train: NDArray[np.integer[Any]]
    held_out: NDArray[np.integer[Any]]
    digest: str
    bytes_per_symbol: float = 1.0

    def encoded(self, vocabulary: Vocabulary) -> Corpus:
        """Return this corpus of bytes as symbols of ``vocabulary``."""
        train, held_out = vocabulary.encode(self.train), vocabulary.encode(self.held_out)
        ratio = (len(self.train) + len(self.held_out)) / (len(train) + len(held_out))
        return Corpus(train, held_out, self.digest, ratio)

    @classmethod
    def read(cls, root: Path, sources: Sequence[str], held_out: float) -> Corpus:
        """Return the bytes of all ``sources``, paths under ``root``; a share ``held_out`` of their blocks is held out.

        The held-out blocks do not depend on the seed of a training: weights that go on from others never saw them.

        Raises:
            UsageError: a source is missing or damaged, or there is too little data.
            MissingExtraError: there are pictures or sound, and the library that reads them is not installed.
        """
        pieces = (_content(name, item) for name, item in _items(root, sources))
        whole = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        count = len(whole) // _BLOCK
        if count < 2:
            raise UsageError(f"{len(whole)} bytes are too few to train on; name at least {2 * _BLOCK} bytes in data")
        held = np.zeros(count, dtype=np.bool_)
        chosen = max(1, round(held_out * count))
        held[np.random.default_rng(_SEED).choice(count, chosen, replace=False)] = True
        blocks = whole[: count * _BLOCK].reshape(count, _BLOCK)
        digest = hashlib.blake2b(whole.data, digest_size=8).hexdigest()
        return cls(blocks[~held].reshape(-1), blocks[held].reshape(-1), digest)


def _content(name: str, item: bytes) -> bytes:
    """Return what is trained on of a file: samples of a picture or sound, all bytes of any other.

    Raises:
        UsageError: it is damaged, or of a format that is neither text nor read, such as PDF.
    """
    try:
        medium = recognise(item)
        if isinstance(medium, Audio):  # 8 bits, as in the paper: the noise of low bytes teaches nothing
            medium = Audio("linear")
        return medium.encode(item)[0]
    except UsageError as error:
        raise UsageError(f"'{name}' cannot be trained on: {error}; or leave it out of data") from None


def _items(root: Path, sources: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each file: files of a folder by name, of an archive in its order."""
    for source in sources:
        path = root / source
        if path.is_dir():
            yield from ((str(file), file.read_bytes()) for file in sorted(path.rglob("*")) if file.is_file())
        elif not path.exists():
            raise UsageError(f"there is no '{path}' to train on; docs/data.md says where to get real data")
        elif tarfile.is_tarfile(path):
            try:
                with tarfile.open(path) as archive:
                    for member in archive:
                        file = archive.extractfile(member) if member.isfile() else None
                        if file is not None:
                            yield f"{path}: {member.name}", file.read()
            except (EOFError, OSError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
                raise UsageError(f"'{path}' is damaged ({error}); fetch it anew") from None
        else:
            yield str(path), path.read_bytes()

"""Shards: the unit of work of a study. Each is pure: what it names decides what it finds, wherever it runs."""

from __future__ import annotations

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from compgen.coding import token_segment
from compgen.coding.api import compress, decompress
from compgen.coding.byte_segment import encode_each
from compgen.coding.container import SegmentFrame, checksum
from compgen.coding.model_compressor import ModelCompressor
from compgen.compressors import COMPRESSORS, Compressor
from compgen.errors import CompgenError
from compgen.evaluation.accounting import published, seven_bits
from compgen.evaluation.data import Piece
from compgen.models import ByteModel, load
from compgen.models.derived.model import CodeLengthModel
from compgen.models.language import TokenModel
from compgen.registry import Spec, split_mixture
from compgen.training.config import Architecture, Budget

T = TypeVar("T")
Record: TypeAlias = dict[str, Any]
"""One line of results: the shard's ``id``, and what it found."""


class Shard(ABC):
    """A part of a study. Subclasses are frozen dataclasses that travel between processes."""

    id: str
    """What no other shard of the study is called."""

    gpus: int
    """GPUs that it wants for itself; the engine ``ray`` finds them."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes that it goes through, for progress."""

    @abstractmethod
    def run(self) -> Record:
        """Do it.

        Raises:
            CompgenError: the data has changed, the compressor failed, or what it wrote does not decode.
        """


def build(spec: str) -> Compressor:
    """Return the compressor that a row of a study names; a model stands for its own coder.

    Raises:
        SpecError: the spec names nothing here.
        MissingExtraError: it needs a package that is not installed.
    """
    if len(split_mixture(spec)) == 1 and (parsed := Spec.parse(spec)).name in COMPRESSORS:
        return COMPRESSORS.build(parsed)
    return ModelCompressor(load(spec))


cached = functools.lru_cache(maxsize=2)(build)
"""``build``, which keeps the last ones: a worker's next shard is most often of the same row, and weights are large."""


@dataclass(frozen=True)
class RateShard(Shard):
    """Chunks of one set, compressed by one compressor.

    Attributes:
        id: set, row, length and number.
        set: name of the set.
        row: name of the row.
        spec: of its compressor.
        length: bytes of a chunk; 0 where the set is one chunk.
        chunks: the pieces that each is made of.
        decoded: chunks that are decoded and compared, the first ones.
        mapping: how the paper makes 7 bits of the set; nothing where its accounting is not wanted.
        gpus: that it wants.
    """

    id: str
    set: str
    row: str
    spec: str
    length: int
    chunks: tuple[tuple[Piece, ...], ...]
    decoded: int
    mapping: str
    gpus: int = 0

    @property
    def size(self) -> int:
        """Bytes of all chunks."""
        return sum(piece.size for chunk in self.chunks for piece in chunk)

    def run(self) -> Record:
        """Compress each chunk on its own, count both ways, decode some."""
        compressor = cached(self.spec)
        chunks = [b"".join(piece.read() for piece in pieces) for pieces in self.chunks]
        record: Record = {
            "id": self.id,
            "set": self.set,
            "row": self.row,
            "length": self.length,
            "chunks": len(chunks),
            "raw": sum(map(len, chunks)),
            "data": hashlib.blake2b(b"".join(chunks), digest_size=8).hexdigest(),
        }
        if isinstance(compressor, ModelCompressor):
            return record | self._model(load(compressor.model), chunks)
        return record | self._classical(compressor, chunks)

    def _classical(self, compressor: Compressor, chunks: list[bytes]) -> Record:
        blobs = [compressor.compress(chunk) for chunk in chunks]
        for chunk, blob in list(zip(chunks, blobs, strict=True))[: self.decoded]:
            if compressor.decompress(blob) != chunk:
                raise CompgenError(f"{compressor} does not give back what it compressed, in {self.id}")
        found: Record = {"written": sum(map(len, blobs)), "decoded": min(self.decoded, len(chunks))}
        if self.mapping:
            code = published(compressor)
            mapped = [seven_bits(chunk, self.mapping) for chunk in chunks]
            found |= {
                "published": _written(code, compressor, chunks, blobs),
                "seven": sum(len(code(data)) for data, _ in mapped),
                "lost": sum(lost for _, lost in mapped),
                "header": len(code(b"\0")),
            }
        return found

    def _model(self, model: ByteModel, chunks: list[bytes]) -> Record:
        codes, bits = _coded(model, chunks)
        sizes = [_in_container(chunk, code) for chunk, code in zip(chunks, codes, strict=True)]
        once = 0
        for chunk, size in list(zip(chunks, sizes, strict=True))[: self.decoded]:
            # A whole set is written as a file is by itself; the lanes of that count with what a file needs once.
            blob = compress(chunk, model, lanes=1 if self.length else None, verify=False)
            if decompress(blob, model) != chunk:
                raise CompgenError(f"{model} does not give back what it compressed, in {self.id}")
            once = max(once, len(blob) - size)
        found: Record = {
            "written": sum(sizes),
            "decoded": min(self.decoded, len(chunks)),
            "bits": round(float(bits.sum()), 3),
            "once": once,
            "parameters": model.parameters,
            "shipped": model.shipped,
        }
        if isinstance(model, CodeLengthModel):
            found["own"] = sum(len(model.compressor.compress(chunk)) for chunk in chunks)
        if self.mapping:
            mapped = [seven_bits(chunk, self.mapping) for chunk in chunks]
            _, bits = _coded(model, [data for data, _ in mapped])
            found |= {"seven": sum(-int(-bit // 8) for bit in bits), "lost": sum(lost for _, lost in mapped)}
        return found


@dataclass(frozen=True)
class TrainedShard(Shard):
    """A network, trained on a part of a set, then measured.

    Attributes:
        id: set, network, and bytes that it was trained on.
        set: name of the set.
        row: name of the network.
        model: the network.
        budget: what its training takes.
        seed: of weights and windows.
        train: what it is trained on.
        folder: where the model goes; one that is there already is measured as it is.
        rates: the measurements, of the model in ``folder``; the chunks of the last are its held-out data.
        gpus: that it wants.
    """

    id: str
    set: str
    row: str
    model: Architecture
    budget: Budget
    seed: int
    train: tuple[Piece, ...]
    folder: str
    rates: tuple[RateShard, ...]
    gpus: int = 0

    @property
    def size(self) -> int:
        """Bytes that the training and the measurements go through."""
        return self.budget.bytes + sum(rate.size for rate in self.rates)

    def run(self) -> Record:
        """Train, then measure."""
        from compgen.training.train import fit_alone  # brings torch

        data = b"".join(piece.read() for piece in self.train)
        held_out = b"".join(piece.read() for pieces in self.rates[-1].chunks for piece in pieces)
        return {
            "id": self.id,
            "set": self.set,
            "row": self.row,
            "data": hashlib.blake2b(data, digest_size=8).hexdigest(),
            "training": fit_alone(
                self.model, self.budget, self.seed, data, held_out, Path(self.folder), f"the study's {self.set}"
            ),
            "rates": [rate.run() for rate in self.rates],
        }


def _coded(model: ByteModel, chunks: Sequence[bytes]) -> tuple[list[bytes], NDArray[np.float64]]:
    """Return the code of each chunk as a file would hold it, by tokens where it can, and the bits that each needs."""
    codes, bits = {}, np.empty(len(chunks))
    tokens: dict[int, list[int]] = {}
    if isinstance(model, TokenModel):
        tokens = {i: spelled for i, chunk in enumerate(chunks) if (spelled := model.encode(chunk)) is not None}
        if tokens:
            found, bits[list(tokens)] = token_segment.encode_each(
                model.start_tokens(len(tokens)), list(tokens.values())
            )
            codes = dict(zip(tokens, found, strict=True))
    others = [i for i in range(len(chunks)) if i not in tokens]
    if others:
        found, bits[others] = encode_each(model.start([b""] * len(others)), [chunks[i] for i in others])
        codes |= zip(others, found, strict=True)
    return [codes[i] for i in range(len(chunks))], bits


def _written(code: Callable[[bytes], bytes], compressor: Compressor, chunks: list[bytes], blobs: list[bytes]) -> int:
    """Return the bytes that the paper's code writes, which mostly are those written already."""
    return sum(map(len, blobs if code == compressor.compress else map(code, chunks)))


def _in_container(chunk: bytes, code: bytes) -> int:
    """Return the bytes that a chunk takes in a .cgn file, which stores what its code would not make smaller."""
    check = checksum(0, chunk)
    return min(SegmentFrame(len(chunk), body, check, body is code).size for body in (chunk, code))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield ``items`` in lists of ``size``, the last perhaps shorter."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]

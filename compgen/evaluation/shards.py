"""Shards, the units of work of a study. A shard is pure: its fields decide its record, wherever it runs."""

from __future__ import annotations

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from compgen.coding import token_segment, writer
from compgen.coding.api import compress, decompress
from compgen.coding.byte_segment import encode_each, surprisals
from compgen.coding.container import SegmentFrame, checksum
from compgen.coding.model_compressor import ModelCompressor
from compgen.compressors import COMPRESSORS, Compressor
from compgen.errors import CompgenError
from compgen.evaluation.accounting import dropped_bytes, published, seven_bits
from compgen.evaluation.data import Piece
from compgen.models import ByteModel, load
from compgen.models.derived.model import CodeLengthModel
from compgen.models.language import TokenModel
from compgen.registry import Spec, split_mixture
from compgen.training.config import Architecture, Budget

T = TypeVar("T")
Record: TypeAlias = dict[str, Any]
"""The result of a shard, one line of results.jsonl: the shard's ``id``, and what it measured."""


class Shard(ABC):
    """A part of a study. Subclasses are frozen dataclasses, which are sent between processes."""

    id: str
    """Name of the shard, unique in the study."""

    gpus: int
    """GPUs that the shard needs for itself; the engine ``ray`` reserves them."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes that the shard works through, for progress."""

    @abstractmethod
    def run(self) -> Record:
        """Do the work, and return the record.

        Raises:
            CompgenError: the data has changed, the compressor failed, or its output does not decode.
        """


def build(spec: str) -> Compressor:
    """Return the compressor that a row of a study names. A model is made a compressor by its arithmetic coder.

    Raises:
        SpecError: the spec names nothing that is known.
        MissingExtraError: the compressor needs a package that is not installed.
    """
    if len(split_mixture(spec)) == 1 and (parsed := Spec.parse(spec)).name in COMPRESSORS:
        return COMPRESSORS.build(parsed)
    return ModelCompressor(load(spec))


cached = functools.lru_cache(maxsize=2)(build)
"""``build`` that keeps its last two results: a worker's next shard is mostly of the same row, and weights are large."""


@dataclass(frozen=True)
class ChunkShard(Shard):
    """Chunks of one set under one row of a table.

    Attributes:
        id: set, row, chunk length and number of the shard.
        set: name of the set.
        row: name of the row.
        spec: spec of the row's compressor or model.
        length: bytes of a chunk; 0 if the whole set is one chunk.
        chunks: the pieces of each chunk.
        mapping: how the paper makes 7 bits of a byte of this set; empty if the paper's accounting is not wanted.
        gpus: GPUs that the shard needs.
    """

    id: str
    set: str
    row: str
    spec: str
    length: int
    chunks: tuple[tuple[Piece, ...], ...]
    mapping: str
    gpus: int

    @property
    def size(self) -> int:
        """Bytes of all chunks together."""
        return sum(piece.size for chunk in self.chunks for piece in chunk)

    def _read(self) -> tuple[list[bytes], Record]:
        """Return the chunks, and what begins the record: names, and a digest of the data."""
        chunks = [b"".join(piece.read() for piece in pieces) for pieces in self.chunks]
        digest = hashlib.blake2b(b"".join(chunks), digest_size=8).hexdigest()
        return chunks, {"id": self.id, "set": self.set, "row": self.row, "length": self.length, "data": digest}


@dataclass(frozen=True)
class RateShard(ChunkShard):
    """Chunks that are compressed.

    Attributes:
        decoded: number of chunks to decode and compare; the first ones are taken.
    """

    decoded: int

    def run(self) -> Record:
        """Compress each chunk on its own, count it, and decode some chunks."""
        compressor = cached(self.spec)
        chunks, record = self._read()
        record |= {"chunks": len(chunks), "raw": sum(map(len, chunks))}
        if isinstance(compressor, ModelCompressor):
            return record | self._model(load(compressor.model), chunks)
        return record | self._classical(compressor, chunks)

    def _classical(self, compressor: Compressor, chunks: list[bytes]) -> Record:
        blobs = [compressor.compress(chunk) for chunk in chunks]
        for chunk, blob in list(zip(chunks, blobs, strict=True))[: self.decoded]:
            if compressor.decompress(blob) != chunk:
                raise CompgenError(f"{compressor} does not give back what it compressed, in {self.id}")
        found: Record = {"written": sum(map(len, blobs)), "decoded": min(self.decoded, len(chunks))}
        if self.mapping:  # ``CountedShard`` has the paper's accounting of models
            code = published(compressor)
            mapped = [seven_bits(chunk, self.mapping) for chunk in chunks]
            sizes = list(map(len, blobs if code == compressor.compress else map(code, chunks)))
            found |= {
                "published": sum(sizes),
                "seven": sum(len(code(data)) for data, _ in mapped),
                "squares": float(sum(size**2 for size in sizes)),
                "counted_chunks": len(chunks),
                "counted": sum(map(len, chunks)),
                "lost": sum(lost for _, lost in mapped),
                "header": len(code(b"\0")),
            }
        return found

    def _model(self, model: ByteModel, chunks: list[bytes]) -> Record:
        codes, bits = _coded(model, chunks)
        sizes = [_in_container(chunk, code) for chunk, code in zip(chunks, codes, strict=True)]
        once = 0  # a set of chunks is one file of many segments
        for chunk, size in list(zip(chunks, sizes, strict=True))[: self.decoded]:
            # A whole set is written with as many lanes as a file gets by default. They count with what it needs once.
            blob = compress(chunk, model, lanes=1 if self.length else None, verify=False)
            if decompress(blob, model) != chunk:
                raise CompgenError(f"{model} does not give back what it compressed, in {self.id}")
            once = writer.once(model) if self.length else max(once, len(blob) - size)
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
        return found


@dataclass(frozen=True)
class CountedShard(ChunkShard):
    """Chunks under a model, counted as the paper counts them: 7 bits of each byte, and nothing is written."""

    def run(self) -> Record:
        """Sum -log2 p over the tokens of each chunk, or over its bytes if the model has no tokeniser."""
        compressor = cached(self.spec)
        assert isinstance(compressor, ModelCompressor)  # noqa: S101 - the plan makes these shards for models alone
        chunks, record = self._read()
        mapped = [seven_bits(chunk, self.mapping) for chunk in chunks]
        costs = _costs(load(compressor.model), [data for data, _ in mapped])
        sizes = [-int(-bits.sum() // 8) for _, bits in costs]
        found: Record = {
            "counted_chunks": len(chunks),
            "counted": sum(map(len, chunks)),
            "seven": sum(sizes),
            "squares": float(sum(size**2 for size in sizes)),
            "lost": sum(lost for _, lost in mapped),
            "dropped": sum(dropped_bytes(chunk, self.mapping) for chunk in chunks),
            "symbols": sum(len(bits) for _, bits in costs),
        }
        if self.length:
            edges = positions(self.length)
            upto = [np.interp(edges, [0, *ends], [0, *np.cumsum(bits)]) for ends, bits in costs]
            found["upto"] = [round(float(bits), 3) for bits in np.sum(upto, axis=0)]
        return record | found


def positions(length: int) -> list[int]:
    """Return the positions in a chunk of ``length`` bytes up to which its cost is kept: powers of two, and its end."""
    return [*(1 << power for power in range(4, (length - 1).bit_length())), length]


@dataclass(frozen=True)
class TrainedShard(Shard):
    """A network that is trained on a part of a set and then measured.

    Attributes:
        id: set, network, and bytes of training data.
        set: name of the set.
        row: name of the network.
        model: architecture of the network.
        budget: amount of training.
        seed: seed of the weights and of the training windows.
        train: the pieces of the training data.
        folder: folder of the trained model; a model that is there already is not trained again.
        rates: the measurements of the model in ``folder``. The chunks of the last one are the held-out data.
        gpus: GPUs that the shard needs.
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
        """Bytes that the training and the measurements work through."""
        return self.budget.bytes + sum(rate.size for rate in self.rates)

    def run(self) -> Record:
        """Train the network, then measure it."""
        from compgen.training.train import fit_alone  # imports torch

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
    """Return the code of each chunk as a file would hold it, and the bits that each needs.

    A chunk is coded by tokens if the model has a tokeniser that spells the chunk, and byte by byte otherwise.
    """
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


def _costs(model: ByteModel, chunks: Sequence[bytes]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return for each chunk (ends, bits): how many of its bytes each symbol ends, and the symbol's -log2 p."""
    if isinstance(model, TokenModel):
        return model.token_bits(chunks)
    costs = surprisals(model.start([b""] * len(chunks)), chunks)
    return [(np.arange(1, len(bits) + 1), bits) for bits in costs]


def _in_container(chunk: bytes, code: bytes) -> int:
    """Return the number of bytes that a chunk takes in a .cgn file, which stores a chunk if that is shorter."""
    check = checksum(0, chunk)
    return min(SegmentFrame(len(chunk), body, check, body is code).size for body in (chunk, code))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield ``items`` in groups of ``size``; the last group may be shorter."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]

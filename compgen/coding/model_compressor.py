"""Any model as a compressor. This closes the circle, since a model can be derived from any compressor.

The one-step rule over ``ModelCompressor(m)`` gives m's distribution back, except for rounding. A language model behind
this coder is a compressor like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.coding import byte_segment, rans
from compgen.coding.sizing import SEGMENT
from compgen.compressors.base import Compressor, Meter
from compgen.errors import CorruptDataError
from compgen.laws.base import Law, LawState
from compgen.models import ByteModel, State, load
from compgen.models.base import PRECISION
from compgen.types import CodeLengths, Frequencies

_HEAD = struct.Struct("<II")
"""Bytes of the data of a piece, bytes of its code."""


@dataclass(frozen=True)
class ModelCompressor(Compressor):
    """The arithmetic coder of ``model``. It knows the context, so that only continuations have a code length.

    A blob is a row of pieces of up to a mebibyte each: the length of the piece, the length of its code, and the code.
    A blob does not name its model. Files do (``writer.py``, ``reader.py``), and are checked against it.
    """

    model: ByteModel = field(metadata={"argument": True, "parse": load})

    name: ClassVar[str] = "model"
    law_kind: ClassVar[str] = "exact"
    resolution: ClassVar[float] = 0.0
    conditional: ClassVar[bool] = True
    parallel: ClassVar[bool] = False
    overhead: ClassVar[float] = 8.0 * (_HEAD.size + rans.LANE)

    @classmethod
    def version(cls) -> str:
        """Return that any model will do. The versions that a model depends on are in ``ByteModel.versions``."""
        return "any model"

    def law(self) -> Law:
        """Return the model's own distribution: random bits through its coder are a sample of it."""
        return ModelLaw(self.model)

    def compress(self, data: bytes) -> bytes:
        """Return the code of ``data``. The model knows nothing before it."""
        state = self.model.start([b""])
        blob = bytearray()
        for begin in range(0, len(data), SEGMENT):
            piece = data[begin : begin + SEGMENT]
            code = byte_segment.encode(state, piece)
            blob += _HEAD.pack(len(piece), len(code)) + code
        return bytes(blob)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data that was compressed.

        Raises:
            CorruptDataError: the blob is damaged, or the model behaves otherwise here than where it was written.
        """
        state = self.model.start([b""])
        data, place = bytearray(), 0
        while place < len(blob):
            if place + _HEAD.size > len(blob):
                raise CorruptDataError("the blob is cut short")
            length, size = _HEAD.unpack_from(blob, place)
            place += _HEAD.size
            if not 1 <= length <= SEGMENT or place + size > len(blob):
                raise CorruptDataError("the blob is damaged or cut short")
            data += byte_segment.decode(state, blob[place : place + size], length)
            place += size
        return bytes(data)

    def code_length(self, data: bytes) -> float:
        """Return the sum of -log2 p over the bytes, bits."""
        return float(self.code_lengths(b"", [data])[0])

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) bits: the sum of -log2 p over the bytes of each continuation."""
        return self.open(context).code_lengths(continuations)

    def open(self, context: bytes) -> ModelMeter:
        """Return a meter that stands where the coder stands after it has coded ``context``.

        A model that learns has then learnt from all of ``context``. A start on ``context`` learns only from its end.
        """
        if self.model.warm_up is None:
            return ModelMeter(self.model.start([context]))
        meter = ModelMeter(self.model.start([b""]))
        meter.extend(context)
        return meter


@dataclass(frozen=True)
class ModelLaw(Law):
    """The law of a model behind its arithmetic coder: the model's own distribution."""

    model: ByteModel

    @property
    def warm_up(self) -> int | None:
        """That of the model."""
        return self.model.warm_up

    def state_memory(self, length: int) -> int:
        """Return the bytes of one row."""
        return self.model.memory(1, length)

    def start(self, context: bytes) -> ModelLawState:
        """Return the state after ``context``."""
        return ModelLawState(self.model.start([context]))


class ModelLawState(LawState):
    """One row of the model's state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies; see ``LawState``."""
        frequencies: Frequencies = self._state.frequencies()[0]
        return frequencies

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self._state.extend(np.array([symbol], dtype=np.uint8))

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; see ``LawState``."""
        low, width = self._state.consume(data.reshape(-1, 1))
        return low[:, 0], width[:, 0]

    def fork(self) -> ModelLawState:
        """Return an independent state."""
        return ModelLawState(self._state.fork([0]))

    def freeze(self) -> None:
        """Stop learning, in place."""
        self._state.freeze()


class ModelMeter(Meter):
    """Measures what may follow a state of one row."""

    def __init__(self, state: State) -> None:
        self._state = state

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) bits: the sum of -log2 p over the bytes of each continuation. All are measured side by side."""
        lengths = np.zeros(len(continuations))
        going = [i for i, y in enumerate(continuations) if y]
        if len(going) == 1:
            known = np.frombuffer(continuations[going[0]], dtype=np.uint8).reshape(-1, 1)
            bits = PRECISION - np.log2(self._state.fork([0]).measure(known))
            lengths[going] = np.cumsum(bits)[-1]  # byte after byte, as below: other orders round otherwise
            return lengths
        state, rows = self._state, [0] * len(going)  # row rows[k] of the state stands for going[k]
        step = 0
        while going:
            symbols = np.array([continuations[i][step] for i in going], dtype=np.uint8)
            lengths[going] -= state.log2_probs()[rows, symbols]
            step += 1
            left = [k for k, i in enumerate(going) if len(continuations[i]) > step]
            if not left:
                break
            state = state.fork([rows[k] for k in left])
            state.extend(symbols[left])
            going, rows = [going[k] for k in left], list(range(len(left)))
        return lengths

    def extend(self, data: bytes) -> None:
        """Append ``data`` to the context."""
        self._state.measure(np.frombuffer(data, dtype=np.uint8).reshape(-1, 1))

    def flushed(self) -> None:
        """Return None: an arithmetic coder has no block to close."""
        return

    def fork(self) -> ModelMeter:
        """Return an independent meter."""
        return ModelMeter(self._state.fork([0]))

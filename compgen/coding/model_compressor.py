"""Any model as a compressor: what closes the circle.

The one-step rule over ``ModelCompressor(m)`` gives m's distribution back, to rounding. A language model behind this
coder is a compressor like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from compgen.coding import segment
from compgen.coding.sizing import SEGMENT
from compgen.compressors.base import Compressor, Meter
from compgen.errors import CorruptDataError
from compgen.models import ByteModel, State, load
from compgen.types import CodeLengths

_HEAD = struct.Struct("<II")  # bytes of data, bytes of code
_STATE = 8  # bytes of the entropy coder's last state


@dataclass(frozen=True)
class ModelCompressor(Compressor):
    """The arithmetic coder of ``model``. Its context costs nothing: only continuations are priced.

    Blobs are bare: pieces of up to a mebibyte, each its length, the length of its code, and the code. Files belong into
    the container (``writer.py``, ``reader.py``), which checks that the model that decodes is the one that encoded.
    """

    model: ByteModel = field(metadata={"argument": True, "parse": load})

    name: ClassVar[str] = "model"
    resolution: ClassVar[float] = 0.0
    conditional: ClassVar[bool] = True
    parallel: ClassVar[bool] = False
    overhead: ClassVar[float] = 8.0 * (_HEAD.size + _STATE)

    @classmethod
    def version(cls) -> str:
        """Return what it is; what a model depends on is the model's own."""
        return "any model"

    def compress(self, data: bytes) -> bytes:
        """Return ``data``, coded with the model, which knows nothing before it."""
        state = self.model.start([b""])
        blob = bytearray()
        for begin in range(0, len(data), SEGMENT):
            piece = data[begin : begin + SEGMENT]
            code = segment.encode(state, piece)
            blob += _HEAD.pack(len(piece), len(code)) + code
        return bytes(blob)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data.

        Raises:
            CorruptDataError: the blob is damaged, or the model behaves otherwise here.
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
            data += segment.decode(state, blob[place : place + size], length)
            place += size
        return bytes(data)

    def code_length(self, data: bytes) -> float:
        """Return the sum of -log2 p over the bytes, bits."""
        return float(self.code_lengths(b"", [data])[0])

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) the sum of -log2 p over each continuation's bytes, bits."""
        return self.open(context).code_lengths(continuations)

    def open(self, context: bytes) -> ModelMeter:
        """Return a meter over the state that the coder has come to after ``context``.

        For a model that learns this is not the state of a start on ``context``: it has learnt from all of it.
        """
        if self.model.warm_up is None:
            return ModelMeter(self.model.start([context]))
        meter = ModelMeter(self.model.start([b""]))
        meter.extend(context)
        return meter


class ModelMeter(Meter):
    """A state, and what may follow it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) the sum of -log2 p over each continuation's bytes, bits: all side by side."""
        lengths = np.zeros(len(continuations))
        going = [i for i, y in enumerate(continuations) if y]
        state, rows = self._state, [0] * len(going)  # row rows[k] of the state stands where going[k] has come to
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
        self._state.consume(np.frombuffer(data, dtype=np.uint8).reshape(-1, 1))

    def flushed(self) -> None:
        """Return None: an arithmetic coder has no block to close."""
        return

    def fork(self) -> ModelMeter:
        """Return an independent meter."""
        return ModelMeter(self._state.fork([0]))

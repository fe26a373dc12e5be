"""The program of the child processes that run pyppmd, from standard input to standard output.

It imports nothing of compgen, so that it starts fast. A crash on hostile input and the memory that encoders leak stay
in this process.

    ppmd_child.py encode                          encode pieces of data, until standard input ends ppmd_child.py
    decode ORDER MEMORY             decode a blob ppmd_child.py noise ORDER MEMORY LENGTH SEED  decode a blob followed
    by noise, and write the LENGTH bytes of the noise
"""

from __future__ import annotations

import random
import struct
import sys
from typing import BinaryIO

import pyppmd

_LENGTH = struct.Struct("<Q")
"""Bytes of data, or of a code."""
_REQUEST = struct.Struct("<IIQ")
"""Order, megabytes of memory, bytes of data."""
_CODED = 1 << 14
"""Bytes encoded in one call. If the output of a call outgrows 32 KB, pyppmd 1.3.1 may write a wrong code (docs/log.md,
"what did not decode")."""
_PIECE = 1 << 20
"""Bytes decoded in one call. Chosen: a forged length allocates no more."""
_UNDECIDED = 4
"""Bytes that the range coder writes last. They only tell where in its final interval the code lies."""
_TRIES = 4000
"""Streams of noise that are tried for one sample. Chosen: most noise changes the data and is rejected."""


def encode(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer each request in ``source``, a header and data, with the length of the data's code and the code."""
    while header := source.read(_REQUEST.size):
        order, memory, length = _REQUEST.unpack(header)
        data = source.read(length)
        encoder = pyppmd.Ppmd7Encoder(order, memory << 20)
        pieces = [bytes(encoder.encode(data[i : i + _CODED])) for i in range(0, length, _CODED)]
        code = b"".join([*pieces, bytes(encoder.flush())])
        sink.write(_LENGTH.pack(len(code)) + code)
        sink.flush()


def decode(order: int, memory: int, source: BinaryIO, sink: BinaryIO) -> None:
    """Decode a blob of ``Ppmd`` from ``source`` into ``sink``. Exit with code 1 if the blob is cut short."""
    header = source.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise SystemExit(1)
    (left,) = _LENGTH.unpack(header)
    decoder = pyppmd.Ppmd7Decoder(order, memory << 20)
    code = source.read()
    while left:
        data = decoder.decode(code, min(left, _PIECE))
        code = b""
        if not data:
            raise SystemExit(1)
        sink.write(data)
        left -= len(data)


def decode_noise(order: int, memory: int, length: int, seed: int, source: BinaryIO, sink: BinaryIO) -> None:
    """Write ``length`` bytes that noise decodes to after a blob's data. Exit with code 1 if all noise tried fails.

    The noise replaces the last bytes of the code, which say nothing about the data. Noise that changes the data is
    rejected. The rest is uniform over the codes that begin with the data, so that each continuation comes with the
    probability that the coder gives it.
    """
    (known,) = _LENGTH.unpack(source.read(_LENGTH.size))
    code = source.read()
    kept = code[: len(code) - _UNDECIDED]
    generator = random.Random(seed)  # noqa: S311 - samples, not secrets
    data = decoder_output(order, memory, code, known)
    for _ in range(_TRIES):
        noise = generator.randbytes(_UNDECIDED + 4 * length + 16)
        found = decoder_output(order, memory, kept + noise, known + length)
        if len(found) == known + length and found[:known] == data:
            sink.write(found[known:])
            return
    raise SystemExit(1)


def decoder_output(order: int, memory: int, code: bytes, length: int) -> bytes:
    """Return up to ``length`` decoded bytes; none if the decoder raises an error."""
    try:
        return bytes(pyppmd.Ppmd7Decoder(order, memory << 20).decode(code, length)) if length else b""
    except ValueError:
        return b""


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    streams = sys.stdin.buffer, sys.stdout.buffer
    if what == "encode":
        encode(*streams)
    elif what == "decode":
        order, memory = map(int, numbers)
        decode(order, memory, *streams)
    else:
        order, memory, length, seed = map(int, numbers)
        decode_noise(order, memory, length, seed, *streams)

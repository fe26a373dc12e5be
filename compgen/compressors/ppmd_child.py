"""The program of the child processes that run pyppmd, from standard input to standard output.

It imports nothing of compgen, so that it starts fast. A crash on hostile input and the memory that encoders leak stay
in this process.

    ppmd_child.py encode                    encode pieces of data, until standard input ends
    ppmd_child.py decode ORDER MEMORY       decode a blob
"""

from __future__ import annotations

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


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    streams = sys.stdin.buffer, sys.stdout.buffer
    if what == "encode":
        encode(*streams)
    else:
        order, memory = map(int, numbers)
        decode(order, memory, *streams)

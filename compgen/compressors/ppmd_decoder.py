"""The child process that decodes PPMd: standard input to standard output, run by path, alone.

It imports nothing of compgen, so that it starts fast; whatever hostile input does to it stays in here.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

import pyppmd

_LENGTH = struct.Struct("<Q")
_PIECE = 1 << 20  # bytes decoded at a time, so that a forged length allocates nothing


def decode(order: int, memory: int, source: BinaryIO, sink: BinaryIO) -> None:
    """Decode a blob of ``Ppmd`` from ``source`` into ``sink``; exit with 1 if it ends too soon."""
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
    decode(int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)

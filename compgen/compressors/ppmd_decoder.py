"""The child process that decodes PPMd: standard input to standard output, run by path, alone.

It imports nothing of compgen, so that it starts fast; whatever hostile input does to it stays in here.

    ppmd_decoder.py ORDER MEMORY              decode a blob
    ppmd_decoder.py ORDER MEMORY LENGTH SEED  decode a blob's code and then noise, to LENGTH bytes more
"""

from __future__ import annotations

import random
import struct
import sys
from typing import BinaryIO

import pyppmd

_LENGTH = struct.Struct("<Q")
_PIECE = 1 << 20  # bytes decoded at a time, so that a forged length allocates nothing
_UNDECIDED = 4  # bytes that the coder writes last, which say nothing but where in its interval it ended
_TRIES = 4000


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


def decode_noise(order: int, memory: int, length: int, seed: int, source: BinaryIO, sink: BinaryIO) -> None:
    """Write ``length`` bytes that noise decodes to after a blob's data; exit with 1 if no noise tried leaves that data.

    The code's last bytes are noise already, and noise that changes the data is thrown away: what remains is uniform
    over the codes that begin with this data, so that each continuation comes as often as the coder expects it.
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
    """Return up to ``length`` decoded bytes, none where the decoder objects."""
    try:
        return bytes(pyppmd.Ppmd7Decoder(order, memory << 20).decode(code, length)) if length else b""
    except ValueError:
        return b""


if __name__ == "__main__":
    order, memory, *noise = map(int, sys.argv[1:])
    if noise:
        decode_noise(order, memory, noise[0], noise[1], sys.stdin.buffer, sys.stdout.buffer)
    else:
        decode(order, memory, sys.stdin.buffer, sys.stdout.buffer)

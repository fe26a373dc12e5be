"""The child process that runs pyppmd: standard input to standard output, run by path, alone.

It imports nothing of compgen, so that it starts fast. Whatever hostile input does to a decoder stays in here, and so
does the memory that every encoder keeps for good.

    ppmd_child.py encode                          code pieces of data, until there are no more
    ppmd_child.py decode ORDER MEMORY             decode a blob
    ppmd_child.py noise ORDER MEMORY LENGTH SEED  decode a blob's code and then noise, to LENGTH bytes more
"""

from __future__ import annotations

import random
import struct
import sys
from typing import BinaryIO

import pyppmd

_LENGTH = struct.Struct("<Q")
_REQUEST = struct.Struct("<IIQ")  # order, megabytes of memory, bytes of data
_CODED = 1 << 14  # bytes coded in one call: where a call's output outgrows 32 KB, pyppmd 1.3.1 may write a wrong code
_PIECE = 1 << 20  # bytes decoded at a time, so that a forged length allocates nothing
_UNDECIDED = 4  # bytes that the coder writes last, which say nothing but where in its interval it ended
_TRIES = 4000


def encode(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer each request in ``source``, a header and the data, with the length of its code and the code."""
    while header := source.read(_REQUEST.size):
        order, memory, length = _REQUEST.unpack(header)
        data = source.read(length)
        encoder = pyppmd.Ppmd7Encoder(order, memory << 20)
        pieces = [bytes(encoder.encode(data[i : i + _CODED])) for i in range(0, length, _CODED)]
        code = b"".join([*pieces, bytes(encoder.flush())])
        sink.write(_LENGTH.pack(len(code)) + code)
        sink.flush()


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

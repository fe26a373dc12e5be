"""pyppmd's own decoder fed with random bytes: an oracle of the law of ppmd.

The decoder crashes on some noise, so this file runs itself as a child process, which imports nothing of compgen.

    python ppmd_oracle.py ORDER LENGTH SEED < BLOB      the LENGTH bytes that noise decodes to behind the blob's data
"""

from __future__ import annotations

import random
import struct
import subprocess
import sys

HEADER = struct.Struct("<Q")
"""What a blob of the compressor ``ppmd`` begins with: the number of bytes in its data."""
UNDECIDED = 4
"""Bytes that the range coder writes last. They only tell where in its final interval the code lies."""
TRIES = 4000
"""Streams of noise that are tried for one sample: most noise changes the data and is thrown away."""
CRASHES = 8
"""Processes that may crash before the oracle gives up."""


def noise_after(blob: bytes, order: int, length: int, seed: int) -> bytes:
    """Return ``length`` bytes that the decoder makes of random bytes behind ``blob``."""
    for attempt in range(CRASHES):
        words = [sys.executable, "-I", __file__, *map(str, (order, length, seed + attempt))]
        child = subprocess.run(words, input=blob, capture_output=True, check=False)
        if child.returncode == 0:
            return child.stdout
    raise AssertionError(f"pyppmd's decoder gave up on {CRASHES} streams of noise")


def main() -> None:
    """Print what noise decodes to.

    It replaces the last bytes of the code, which say nothing about the data. Noise that changes the data is thrown
    away; the rest is uniform over the codes that begin with the data.
    """
    order, length, seed = map(int, sys.argv[1:])
    blob = sys.stdin.buffer.read()
    (known,) = HEADER.unpack(blob[: HEADER.size])
    code = blob[HEADER.size :]
    generator, data = random.Random(seed), output(order, code, known)
    for _ in range(TRIES):
        noise = generator.randbytes(UNDECIDED + 4 * length + 16)
        found = output(order, code[: len(code) - UNDECIDED] + noise, known + length)
        if len(found) == known + length and found[:known] == data:
            sys.stdout.buffer.write(found[known:])
            return
    raise SystemExit(1)


def output(order: int, code: bytes, length: int) -> bytes:
    """Return up to ``length`` decoded bytes; none if the decoder raises an error."""
    import pyppmd

    try:
        return bytes(pyppmd.Ppmd7Decoder(order, 16 << 20).decode(code, length)) if length else b""
    except ValueError:
        return b""


if __name__ == "__main__":
    main()

"""A compressor of your own in twenty lines. It can then be sampled from and scored with, like any other.

python examples/own_compressor.py
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar

import compgen
from compgen.errors import CorruptDataError
from compgen.testing import check_compressor


@dataclass(frozen=True)
class RunLengths(compgen.Compressor):
    """Each run of equal bytes becomes a (count, byte) pair; zlib compresses the pairs."""

    level: int = 6

    name: ClassVar[str] = "run-lengths"

    @classmethod
    def version(cls) -> str:
        return "example"

    def compress(self, data: bytes) -> bytes:
        pairs = bytearray()
        position = 0
        while position < len(data):
            count = 1
            while count < 255 and data[position + count : position + count + 1] == data[position : position + 1]:
                count += 1
            pairs += bytes([count, data[position]])
            position += count
        return zlib.compress(bytes(pairs), self.level)

    def decompress(self, blob: bytes) -> bytes:
        try:
            pairs = zlib.decompress(blob)
        except zlib.error as error:
            raise CorruptDataError(f"not a run-lengths blob: {error}") from None
        if len(pairs) % 2:
            raise CorruptDataError("not a run-lengths blob: half a pair")
        return b"".join(pairs[i + 1 : i + 2] * pairs[i] for i in range(0, len(pairs), 2))


def main() -> None:
    compgen.register("run-lengths", RunLengths)
    check_compressor(RunLengths())
    prompt = b"aaaabbbbbbbbccccaaaabbbbbbbbcccc" * 8
    drawn = compgen.sample("run-lengths:level=9", prompt, length=40, seed=1, allow="chars:abc")
    print(f"{drawn.model}: {drawn[0].text}")
    print(f"{compgen.score('run-lengths', b'aaaabbbb', prompt).derived_bpb:.3f} bits per byte")


if __name__ == "__main__":
    main()

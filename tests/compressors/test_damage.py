"""Damaged blobs end in an error of ours, or in some bytes, never in a crash."""

from __future__ import annotations

import random
import struct

import pytest

from compgen.compressors import COMPRESSORS
from compgen.errors import CompgenError, CorruptDataError

CHECKED = ["gzip", "zlib", "bz2"]  # these carry a checksum
SPECS = [*CHECKED, "deflate", "xz", "zstd", "zstd-dict", "brotli"]


@pytest.mark.parametrize("spec", SPECS)
def test_mutations(spec: str) -> None:
    compressor = COMPRESSORS.build(spec)
    data = b"the same words, again and again, the same words " * 9
    blob = compressor.compress(data)
    generator = random.Random(7)
    for _ in range(400):
        damaged = bytearray(blob)
        for _ in range(generator.randrange(1, 4)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        try:
            decoded = compressor.decompress(bytes(damaged))
        except CompgenError:
            continue
        # gzip's header holds bytes that decide nothing: its time stamp and the name of its system.
        assert spec not in CHECKED or decoded == data


@pytest.mark.parametrize("spec", SPECS)
def test_a_blob_cut_short_or_followed_by_more_is_refused(spec: str) -> None:
    compressor = COMPRESSORS.build(spec)
    blob = compressor.compress(b"some data to be cut short")
    for damaged in (b"", blob[:1], blob[:-1], blob + b"more"):
        with pytest.raises(CorruptDataError):
            compressor.decompress(damaged)


def test_ppmd_survives_hostile_blobs() -> None:
    ppmd = COMPRESSORS.build("ppmd:memory=1")
    generator = random.Random(3)
    forged = struct.pack("<Q", 1 << 62)
    blobs = [b"", b"\0" * 7, struct.pack("<Q", 5), forged, forged + b"\0" * 5 + generator.randbytes(40)]
    blobs += [struct.pack("<Q", 500) + generator.randbytes(60) for _ in range(6)]
    blob = ppmd.compress(b"some data, some data")
    assert ppmd.decompress(blob) == b"some data, some data"
    for damaged in (blob + b"more", struct.pack("<Q", 200) + blob[8:], blob[:-4]):
        with pytest.raises(CorruptDataError):
            ppmd.decompress(damaged)
    for blob in blobs:
        try:
            ppmd.decompress(blob)
        except CompgenError:
            continue

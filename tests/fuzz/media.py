"""Encode mutated, cut, spliced and forged files of sound and pictures. Each must end in bytes or in a compgen error.

    python -m tests.fuzz.media [--cases N] [--seed S] [FORMAT ...]

For each format, it prints how the cases ended. It fails at the first case that ends otherwise, or whose message is not
one line that a user can act on, and prints its number. It also fails if a case takes over ``SLOWEST`` seconds, or if
the process grows by more than ``GROWTH`` MB. Half of the mutated PNG and Ogg files get right checksums again.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import resource
import struct
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from compgen.errors import CompgenError
from compgen.media import recognise

SLOWEST = 10.0
GROWTH = 2500
_ODD = (
    b"\x00",
    b"\xff",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\x00\x01\x00\x00",
    b"\xff\xff",
    b"\x01\x00",
)
"""Values that may break sizes and counts."""

_SOUNDS = {
    "WAV": ("WAV", "PCM_16"),
    "WAV of 24 bits": ("WAV", "PCM_24"),
    "WAV of floats": ("WAV", "FLOAT"),
    "WAV of ADPCM": ("WAV", "IMA_ADPCM"),
    "WAVEX": ("WAVEX", "PCM_16"),
    "RF64": ("RF64", "PCM_16"),
    "W64": ("W64", "PCM_16"),
    "FLAC": ("FLAC", "PCM_16"),
    "FLAC of 24 bits": ("FLAC", "PCM_24"),
    "Vorbis": ("OGG", "VORBIS"),
    "Opus": ("OGG", "OPUS"),
    "MP3": ("MP3", "MPEG_LAYER_III"),
    "AIFF": ("AIFF", "PCM_16"),
    "AIFC": ("AIFF", "ULAW"),
    "AU": ("AU", "PCM_16"),
    "CAF": ("CAF", "PCM_16"),
    "ALAC": ("CAF", "ALAC_16"),
    "NIST": ("NIST", "PCM_16"),
}
_PICTURES: dict[str, tuple[str, str, dict[str, object]]] = {
    "PNG": ("RGB", "PNG", {}),
    "PNG, animated": ("RGBA", "PNG", {"save_all": True}),
    "PNG with a palette": ("P", "PNG", {}),
    "PNG of 16 bits": ("I;16", "PNG", {"transparency": 0}),
    "JPEG": ("RGB", "JPEG", {}),
    "JPEG, progressive": ("CMYK", "JPEG", {"progressive": True}),
    "WebP": ("RGBA", "WEBP", {"lossless": True}),
    "WebP, animated": ("RGB", "WEBP", {"save_all": True}),
    "GIF": ("P", "GIF", {"save_all": True}),
    "BMP": ("RGB", "BMP", {}),
    "TIFF": ("RGB", "TIFF", {}),
    "TIFF, packed": ("RGBA", "TIFF", {"compression": "tiff_adobe_deflate", "save_all": True}),
    "TIFF with a JPEG": ("RGB", "TIFF", {"compression": "jpeg"}),
    "TIFF of 16 bits": ("I;16", "TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("RGBA", "AVIF", {}),
    "PPM": ("RGB", "PPM", {}),
}
FORMATS = (*_SOUNDS, *_PICTURES)


def originals(name: str) -> list[bytes]:
    """Return small files of a format."""
    import PIL.Image
    import soundfile

    tone = 0.4 * np.sin(np.arange(3000) / 9)
    files = []
    for size in (600, 3000):
        file = io.BytesIO()
        if name in _SOUNDS:
            container, subtype = _SOUNDS[name]
            frames = np.stack([tone[:size], -tone[:size]], axis=1) if size == 600 else tone
            soundfile.write(file, frames, 8000, format=container, subtype=subtype)
        else:
            mode, container, options = _PICTURES[name]
            y, x = np.mgrid[: size // 40, :40]
            levels = ((x * y) % 256).astype(np.uint8)
            image = PIL.Image.fromarray(levels.astype(np.uint16) << 7 if mode == "I;16" else levels)
            image = image if mode == "I;16" else image.convert("RGB").convert(mode)
            more = {"append_images": [image.transpose(PIL.Image.Transpose.ROTATE_180)]} if "save_all" in options else {}
            image.save(file, container, **options, **more)
        files.append(file.getvalue())
    return files


def mutate(generator: random.Random, item: bytes, others: list[bytes]) -> bytes:
    """Return ``item`` with a change of one of six kinds. Headers change more often than the rest."""
    way = generator.randrange(6)
    place = generator.randrange(min(len(item), generator.choice([60, 200, len(item)])))
    if way == 0:
        return item[: generator.randrange(len(item))]
    if way == 1:
        changed = bytearray(item)
        for _ in range(generator.choice([1, 1, 2, 5, 20])):
            at = generator.randrange(min(len(item), generator.choice([100, len(item)])))
            changed[at] ^= 1 << generator.randrange(8)
        return bytes(changed)
    if way == 2:
        odd = generator.choice(_ODD)
        return item[:place] + odd + item[place + len(odd) :]
    if way == 3:
        other = generator.choice(others)
        return item[:place] + other[generator.randrange(len(other)) :]
    if way == 4:
        end = min(len(item), place + generator.randrange(1, 60))
        return item[:place] + item[end:] if generator.random() < 0.5 else item[:end] + item[place:]
    return item[:place] + generator.randbytes(generator.randrange(1, 9)) + item[place + generator.randrange(9) :]


def mended(item: bytes) -> bytes:
    """Return a PNG or Ogg file with right checksums, so that mutations reach the decoder behind the checks."""
    if item.startswith(b"\x89PNG\r\n\x1a\n"):
        return item[:8] + b"".join(_chunks(item))
    return b"".join(_pages(item)) if item.startswith(b"OggS") else item


def _chunks(item: bytes) -> Iterator[bytes]:
    place = 8
    while place + 12 <= len(item):
        size = int.from_bytes(item[place : place + 4])
        body = item[place + 4 : place + 8 + size]
        yield item[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + size
    yield item[place:]


def _pages(item: bytes) -> Iterator[bytes]:
    """Yield the pages with their checksums (RFC 3533), computed bit by bit as the document says."""
    starts = [found.start() for found in re.finditer(b"OggS", item)]
    for start, end in zip(starts, [*starts[1:], len(item)], strict=True):
        page = bytearray(item[start:end])
        page[22:26] = bytes(4)
        register = 0
        for byte in page:
            register ^= byte << 24
            for _ in range(8):
                register = ((register << 1) & 0xFFFFFFFF) ^ (0x04C11DB7 if register >> 31 else 0)
        page[22:26] = register.to_bytes(4, "little")
        yield bytes(page)


def run(name: str, cases: int, seed: int) -> Counter[str]:
    """Run some cases of a format, and return how many ended in which way.

    Raises:
        AssertionError: a case ended otherwise than in bytes or a compgen error, took too long, or took too much memory.
    """
    files = originals(name)
    outcomes: Counter[str] = Counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in range(cases):
        generator = random.Random(f"{name} {seed} {case}")
        item = mutate(generator, generator.choice(files), files)
        if generator.random() < 0.5:
            item = mended(item)
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcomes[type(recognise(item).encode(item)[1]).__name__] += 1
        except CompgenError as error:
            words = str(error)
            assert words.isprintable(), (name, case, words)
            assert " at 0x" not in words, (name, case, words)
            assert re.search("; |: .* by |--medium", words), (name, case, words)
            outcomes[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"{name}, case {case}: {error!r}; {item[:80]!r}") from error
        taken = time.perf_counter() - begin
        assert taken < SLOWEST, f"{name}, case {case}, took {taken:.1f} s"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    assert grown < GROWTH, f"{name}: memory grew by {grown:.0f} MB"
    return outcomes


def main() -> None:
    """Run the fuzzer for some or all formats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", metavar="FORMAT")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for name in options.formats or FORMATS:
        begin = time.perf_counter()
        outcomes = run(name, options.cases, options.seed)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name}: {dict(outcomes)}, {time.perf_counter() - begin:.1f} s, peak {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()

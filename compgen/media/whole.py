"""Whether a file of sound or a picture is whole: libraries read some files that are cut short, and say nothing.

Each check walks the pieces of a format (chunks, pages, segments), and checks checksums that the library does not.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from compgen.errors import UsageError
from compgen.media.formats import Format, frame_size, tag_end

_UNKNOWN = 0x7FFF_0000
"""Bytes. Sizes in the headers of WAV and AU files from here on mean "not known": programs that write to a pipe put
0x7FFFF000, 0x7FFFFFFF or 0xFFFFFFFF there."""

_MOST_SCANS = 50
"""The most scans of a progressive JPEG file. Chosen: encoders write about ten, and a scan of few bytes may cost a pass
over all pixels."""

_CHECKED = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS")
"""Chunks of PNG files that say what the pixels are. Their checksums are checked."""

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""For each byte, the byte with its bits in reverse order."""


def check(item: bytes, form: Format) -> None:
    """Check that a file is whole.

    Raises:
        UsageError: it is cut short, or a checksum in it is wrong.
    """
    checks: dict[str, Callable[[bytes], str]] = {
        "PNG": _png,
        "JPEG": _jpeg,
        "WAV": _wav,
        "AIFF": _aiff,
        "AU": _au,
        "CAF": _caf,
        "W64": _w64,
        "Ogg": _ogg,
        "MP3": _mp3,
        "NIST SPHERE": _nist,
    }
    wrong = checks[form.name](item) if form.name in checks else ""
    if wrong:
        raise UsageError(f"the {form.name} file is {wrong}; {advice(form)}")


def advice(form: Format) -> str:
    """Return what to do about a damaged file."""
    again = "save it anew as PNG" if form.medium == "image" else "save what is left, as by 'ffmpeg -i IN OUT.wav'"
    return f"get it whole, or {again}"


def _png(item: bytes) -> str:
    place = 8
    while place + 12 <= len(item):
        size, name = struct.unpack_from(">I4s", item, place)
        end = place + 12 + size
        if end > len(item):
            break
        if name in _CHECKED and zlib.crc32(item[place + 4 : end - 4]) != int.from_bytes(item[end - 4 : end]):
            return f"damaged: the checksum of its chunk {name.decode()} is wrong"
        if name == b"IEND":
            return ""
        place = end
    return "cut short or damaged: it has no end (IEND)"


def _jpeg(item: bytes) -> str:
    """Look for the mark of the end behind the beginning of the first scan. A preview before it may hold such a mark."""
    place = 2
    while place + 4 <= len(item) and item[place] == 0xFF:
        marker, size = item[place + 1], int.from_bytes(item[place + 2 : place + 4])
        if marker == 0xDA:
            if item.count(b"\xff\xda", place) > _MOST_SCANS:
                return f"hostile: it has more than {_MOST_SCANS} scans, each as long as the whole picture"
            return "" if item.find(b"\xff\xd9", place) >= 0 else "cut short or damaged: it has no end (EOI)"
        place += 1 if marker == 0xFF else 2 + size  # markers may be filled up with 0xFF
    return "cut short or damaged: it has no pixels"


def riff_chunks(item: bytes, order: str = "<") -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the first byte of the content and the size that the header gives, for each chunk of an IFF file.

    ``order`` is the byte order of sizes in ``struct``: ``<`` for RIFF, ``>`` for AIFF.
    """
    place = 12
    while place + 8 <= len(item):
        name, size = struct.unpack_from(f"{order}4sI", item, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def _wav(item: bytes) -> str:
    order = ">" if item[:4] == b"RIFX" else "<"
    long = None  # the size of the samples in files of over 4 GB
    for name, begin, size in riff_chunks(item, order):
        if name == b"ds64" and begin + 16 <= len(item):
            long = int.from_bytes(item[begin + 8 : begin + 16], "little")
        elif name == b"data":
            if size == 0 and len(item) > begin and not re.match(rb"\0?[ -~]{4}", item[begin : begin + 5]):
                return "not finished: its header was never filled in"
            return _cut(long if size == 0xFFFF_FFFF and long else 0 if size >= _UNKNOWN else size, item, begin)
    return "cut short: it holds no samples"


def _aiff(item: bytes) -> str:
    frames = 1
    for name, begin, size in riff_chunks(item, ">"):
        if name == b"COMM":
            frames = int.from_bytes(item[begin + 2 : begin + 6])
        elif name == b"SSND":
            return _cut(size, item, begin)
    return "cut short: it holds no samples" if frames else ""


def _au(item: bytes) -> str:
    if len(item) < 24:
        return "cut short: it holds no samples"
    order = ">" if item.startswith(b".snd") else "<"
    begin, size = struct.unpack_from(f"{order}II", item, 4)
    return _cut(0 if size >= _UNKNOWN else size, item, begin)


def _caf(item: bytes) -> str:
    place = 8
    while place + 12 <= len(item):
        name, size = struct.unpack_from(">4sq", item, place)
        if name == b"data":
            return _cut(size, item, place + 12)  # -1 means "to the end"
        if size < 0:
            break
        place += 12 + size
    return "cut short: it holds no samples"


def _w64(item: bytes) -> str:
    place = 40
    while place + 24 <= len(item):
        name, size = struct.unpack_from("<16sQ", item, place)  # the size counts name and size too
        if name.startswith(b"data"):
            return _cut(size - 24, item, place + 24)
        place += max(24, size + -size % 8)
    return "cut short: it holds no samples"


def _cut(size: int, item: bytes, begin: int) -> str:
    """Return what is wrong if ``size`` bytes from ``begin`` on are not there."""
    missing = begin + size - len(item)
    return f"cut short: {missing} of {size} bytes are missing" if 0 < missing <= size else ""


def _ogg(item: bytes) -> str:
    """Walk the pages, and check their checksums: libogg leaves out pages that are damaged, and says nothing."""
    place = tag_end(item)
    at_start = True  # the first pages of all streams come before the others
    while place < len(item):
        count = item[place + 26] if place + 27 <= len(item) else 0
        end = place + 27 + count + sum(item[place + 27 : place + 27 + count])
        if not item.startswith(b"OggS", place):
            return ""  # something else was appended
        if place + 27 > len(item) or end > len(item):
            return "cut short: its last page is not whole"
        page = item[place : place + 22] + bytes(4) + item[place + 26 : end]
        if _ogg_checksum(page) != item[place + 22 : place + 26]:
            return "damaged: the checksum of a page is wrong"
        first_page = bool(item[place + 5] & 2)
        if first_page and not at_start:
            return "a chain of streams, of which libsndfile reads only the first"
        at_start = first_page
        place = end
    return ""


def _ogg_checksum(page: bytes) -> bytes:
    """Return the checksum of a page (RFC 3533): zlib's, but of bits in reverse order, and not inverted."""
    mirrored = zlib.crc32(page.translate(_MIRROR), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return mirrored.to_bytes(4).translate(_MIRROR)


def _mp3(item: bytes) -> str:
    """Walk the frames to the last, and compare the size with the one in the first frame, if there is one (Xing)."""
    place = tag_end(item)
    frame = place
    while (size := frame_size(item[frame : frame + 4])) > 0:
        if frame + size > len(item):
            return "cut short: its last frame is not whole"
        frame += size
    found = re.search(rb"(Xing|Info)\0\0\0(.)", item[place : place + 512], re.DOTALL)
    if found is None or found[2][0] & 3 != 3:  # bit 0: frames are given, bit 1: bytes are given
        return ""
    at = place + found.end() + 4
    size = int.from_bytes(item[at : at + 4])
    return _cut(size, item, place)


def _nist(item: bytes) -> str:
    """Compare the size with the one that the header gives; samples packed by shorten or wavpack are not checked."""
    begin = int(item[8:15])
    header = item[:begin]
    fields = dict(re.findall(rb"^(sample_count|channel_count|sample_n_bytes) -i (\d{1,10})$", header, re.MULTILINE))
    if len(fields) < 3 or re.search(rb"^sample_coding .*embedded", header, re.MULTILINE):
        return ""
    return _cut(math.prod(map(int, fields.values())), item, begin)

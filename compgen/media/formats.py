"""File formats by their first bytes: those that are read as pictures and sound, and those that are refused by name.

A file whose first bytes are plain text is a text, whatever it begins with: prose may begin with ``BM`` or ``ID3``. Any
other file without a known signature is mere bytes, which the medium ``text`` takes as they are.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from compgen.errors import UsageError

_HEAD = 4096
"""The first bytes, which are compared with signatures. Chosen: the first object of a PDF file begins within them."""

_PLAIN = 1024
"""The first bytes that decide whether a file is plain text. Chosen: the header of a binary format has a zero or another
control character within them."""

_CONTROLS = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
"""Characters that no text holds. Escape may colour a text, backspace may underline it."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: the name, for messages.
        signature: what the first bytes of such a file match.
        medium: the medium that reads it, ``image`` or ``audio``; empty if none does.
        suffixes: the suffixes of such files.
        advice: what to do with a file that no medium reads.
        plain: whether such a file may be plain text.
    """

    name: str
    signature: re.Pattern[bytes]
    medium: str = ""
    suffixes: tuple[str, ...] = ()
    advice: str = ""
    plain: bool = False

    @property
    def refusal(self) -> str:
        """What to tell a user who wants to continue such a file."""
        return f"{self.name} is neither text nor a picture or sound that is read: {self.advice}"


def _formats(medium: str, advice: str, *rows: tuple[str, bytes, str], plain: bool = False) -> list[Format]:
    """Return formats of one kind. A row is the name, the signature as a regular expression, and the suffixes."""
    return [
        Format(name, re.compile(start, re.DOTALL), medium, tuple(suffixes.split()), advice, plain)
        for name, start, suffixes in rows
    ]


FORMATS: tuple[Format, ...] = (
    *_formats(
        "image",
        "",
        ("PNG", rb"\x89PNG\r\n\x1a\n", ".png .apng"),
        ("JPEG", rb"\xff\xd8\xff", ".jpg .jpeg .jpe"),
        ("WebP", rb"RIFF.{4}WEBP", ".webp"),
        ("GIF", rb"GIF8[79]a", ".gif"),
        # Two bytes that were never used, an offset below 64 KB, and one of the seven sizes that headers have.
        ("BMP", rb"BM.{4}\0{4}..\0\0[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", ".bmp"),
        ("AVIF", rb".{4}ftyp(avi[fs]|mi[af]1.{4,40}?avi[fs])", ".avif"),
    ),
    *_formats(
        "image",
        "",
        ("PPM", rb"P[56]\s+(#[^\r\n]*[\r\n]\s*)*\d+\s+(#[^\r\n]*[\r\n]\s*)*\d+\s+\d+\s", ".ppm .pgm"),
        plain=True,
    ),
    *_formats(
        "",
        "develop it to PNG, as by 'darktable-cli IN OUT.png'",
        ("a camera raw file", rb"II\*\0.{4}CR|II(RO|RS|U\0)|FUJIFILMCCD-RAW", ".cr2 .nef .arw .dng .orf .rw2 .raf"),
        ("a camera raw file (CR3)", rb".{4}ftypcrx ", ".cr3"),
    ),
    *_formats("image", "", ("TIFF", rb"II[*+]\0|MM\0[*+]", ".tif .tiff")),
    *_formats(
        "audio",
        "",
        ("WAV", rb"(RIFF|RIFX|RF64).{4}WAVE", ".wav .wave"),
        ("FLAC", rb"fLaC", ".flac"),
        ("Ogg", rb"OggS\0", ".ogg .oga .opus"),
        ("AIFF", rb"FORM.{4}AIF[FC]", ".aiff .aif .aifc"),
        ("AU", rb"\.snd\0", ".au .snd"),
        ("CAF", rb"caff\0\x01", ".caf"),
        ("W64", rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", ".w64"),
        # The frame header of layer 2 or 3, of which a second one must follow; see _is_mpeg.
        ("MP3", rb"\xff[\xe2\xe3\xf2-\xf5\xfa-\xfd]", ".mp3 .mp2"),
    ),
    *_formats("audio", "", ("NIST SPHERE", rb"NIST_1A\n {0,6}\d{1,6}(?<=\n.{7})\n", ".sph"), plain=True),
    *_formats(
        "",
        "convert it to PNG, as by 'magick IN OUT.png'",
        ("HEIC", rb".{4}ftyp(he[iv][cxms]|m[is][af]1)", ".heic .heif"),
        ("JPEG 2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", ".jp2 .j2k"),
        ("JPEG XL", rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", ".jxl"),
        ("a Photoshop picture", rb"8BPS\0[\x01\x02]", ".psd"),
        ("a GIMP picture", rb"gimp xcf ", ".xcf"),
        ("OpenEXR", rb"\x76\x2f\x31\x01", ".exr"),
    ),
    *_formats(
        "",
        "convert it to WAV, as by 'ffmpeg -i IN OUT.wav'",
        ("M4A", rb".{4}ftypM4[ABP] ", ".m4a .m4b"),
        ("AAC", rb"\xff[\xf0\xf1\xf8\xf9][\x40-\x7f]|ADIF", ".aac"),
        ("WMA or WMV", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ".wma .wmv .asf"),
        ("AMR", rb"#!AMR(-WB)?\n", ".amr"),
        ("WavPack", rb"wvpk", ".wv"),
        ("Monkey's Audio", rb"MAC .\x0f\0\0", ".ape"),
        ("Musepack", rb"MPCK|MP\+", ".mpc"),
        ("TTA", rb"TTA1", ".tta"),
        ("DSD", rb"DSD \x1c\0|FRM8.{8}DSD ", ".dsf .dff"),
        ("AIFF's cousin 8SVX", rb"FORM.{4}(8SVX|16SV)", ".iff .8svx"),
        ("VOC", rb"Creative Voice File\x1a", ".voc"),
    ),
    *_formats(
        "",
        "play it into a WAV file, as by 'fluidsynth -F OUT.wav FONT.sf2 IN'",
        ("MIDI", rb"MThd\0\0\0\x06|RIFF.{4}RMID", ".mid .midi"),
    ),
    *_formats(
        "",
        "take its sound, as by 'ffmpeg -i IN OUT.wav', or a frame, as by 'ffmpeg -i IN -frames:v 1 OUT.png'",
        ("MP4 or QuickTime", rb".{4}(ftyp|moov|mdat|wide)", ".mp4 .m4v .mov .3gp"),
        ("Matroska or WebM", rb"\x1a\x45\xdf\xa3", ".mkv .webm .mka"),
        ("AVI", rb"RIFF.{4}AVI ", ".avi"),
        ("Flash video", rb"FLV\x01", ".flv"),
        ("MPEG video", rb"\0\0\x01[\xba\xb3]|(G.{187}){3}G", ".mpg .mpeg .ts .vob"),
    ),
    *_formats(
        "",
        "extract its text first, as by 'pdftotext IN OUT.txt'",
        ("PDF", rb"%PDF-\d\.\d[ \t]*[\r\n].*\d\s{1,9}\d{1,9}\s{1,9}obj", ".pdf"),
        plain=True,
    ),
    *_formats(
        "",
        "extract its text first, as by 'ddjvu' and 'djvutxt'",
        ("DjVu", rb"AT&TFORM.{4}DJV[UM]", ".djvu"),
    ),
    *_formats(
        "",
        "save its text or its files first, as by 'pandoc IN -o OUT.txt' or 'unzip IN'",
        ("a ZIP archive (or an office file or e-book)", rb"PK(\x03\x04|\x05\x06)", ".zip .docx .xlsx .pptx .odt .epub"),
        ("an office file (OLE)", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".doc .xls .ppt"),
    ),
    *_formats(
        "",
        "unpack it first",
        ("gzip", rb"\x1f\x8b\x08", ".gz .tgz"),
        ("bzip2", rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)", ".bz2"),
        ("xz", rb"\xfd7zXZ\0", ".xz"),
        ("Zstandard", rb"\x28\xb5\x2f\xfd", ".zst"),
        ("LZ4", rb"\x04\x22\x4d\x18", ".lz4"),
        ("7-Zip", rb"7z\xbc\xaf\x27\x1c", ".7z"),
        ("RAR", rb"Rar!\x1a\x07", ".rar"),
    ),
)
"""All formats. If several match a file, the first of them is its format. What a signature repeats can be divided in one
way only: texts are compared with all signatures, and each further way would double the time, or worse."""

_BY_NAME = {one.name: one for one in FORMATS}

_BITRATES = {
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (2, 0): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s of MPEG 1 layers 3 and 2, and of MPEG 2 (ISO 11172-3 and 13818-3): the tables for bits of the frame header."""


def format_of(item: bytes) -> Format | None:
    """Return the format of a file by its first bytes, or None if they are text or of no known format."""
    start = tag_end(item)
    if start:  # MP3 files mostly begin with a tag; others may
        behind = _match(item, start)
        return behind if behind is not None and behind.medium == "audio" else _BY_NAME["MP3"]
    return _match(item, 0)


def _match(item: bytes, start: int) -> Format | None:
    head = item[start : start + _HEAD]
    plain = is_plain(head[:_PLAIN])
    for one in FORMATS:
        if (one.plain or not plain) and one.signature.match(head):
            if one.name == "MP3" and not _is_mpeg(item, start):
                continue
            return one
    return None


def is_plain(data: bytes) -> bool:
    """Return whether bytes are UTF-8 without control characters. They may end inside a character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(text)


def tag_end(item: bytes) -> int:
    """Return the size of an ID3 tag (version 2) at the start of ``item``, or 0 if there is none."""
    tag = re.match(rb"ID3[\x02-\x04].[\0-\xff]([\0-\x7f]{4})", item[:10], re.DOTALL)
    if tag is None:
        return 0
    size = 0
    for seven_bits in tag[1]:
        size = size << 7 | seven_bits
    return size + 10


def _is_mpeg(item: bytes, start: int) -> bool:
    """Return whether a frame of MPEG audio, layer 2 or 3, begins at ``start``, and another one behind it."""
    first = item[start : start + 4]
    size = frame_size(first)
    following = item[start + size : start + size + 4]
    return size > 0 and len(following) == 4 and first[1] == following[1] and frame_size(following) > 0


def frame_size(header: bytes) -> int:
    """Return the bytes of the MPEG frame that begins with ``header``, or 0 if it is no such header."""
    if len(header) < 4 or header[0] != 0xFF:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or bitrate in (0, 15) or rate == 3:
        return 0
    rates = _BITRATES[(3, layer) if version == 3 else (2, 0)]
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    slots = 72 if version != 3 and layer == 1 else 144
    return slots * rates[bitrate - 1] * 1000 // hertz + (header[2] >> 1 & 1)


def expect(item: bytes, medium: str, what: str) -> Format:
    """Return the format of an item that must be a picture or a sound, which ``what`` names.

    Raises:
        UsageError: it is of another kind.
    """
    found = format_of(item)
    if found is not None and found.medium == medium:
        return found
    if found is not None and not found.medium:
        raise UsageError(found.refusal)
    if found is not None:
        raise UsageError(f"the {what} cannot be read: it is {found.name}; leave the medium out, or take {found.medium}")
    names = ", ".join(one.name for one in FORMATS if one.medium == medium)
    kind = "of no known format" if item else "empty"
    raise UsageError(f"the {what} cannot be read: it is {kind}; give one of {names}")


def owner(suffix: str) -> Format | None:
    """Return the format that files with this suffix have, or None if it says nothing."""
    return next((one for one in FORMATS if suffix in one.suffixes), None)

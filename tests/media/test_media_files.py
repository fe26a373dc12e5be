"""Files of sound and pictures: which are known, what of them is kept, and what is told of damage and losses."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from compgen.errors import LossWarning, UsageError
from compgen.media import MEDIA, recognise
from compgen.media.formats import FORMATS, frame_size
from tests.fuzz import media as fuzz

image_module = pytest.importorskip("PIL.Image")
soundfile = pytest.importorskip("soundfile")

TONE = np.rint(12_000 * np.sin(np.arange(4000) / 5)).astype(np.int16)
RGB = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)


def sound(samples: object = TONE, rate: int = 16_000, **form: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", "subtype": "PCM_16", **form})
    return file.getvalue()


def picture(array: object = RGB, mode: str | None = None, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    made = image_module.fromarray(array)
    (made.convert(mode) if mode else made).save(file, form, **options)
    return file.getvalue()


def png(depth: int, colour: int, rows: list[bytes], width: int, rule: bytes) -> bytes:
    """A PNG file with a rule of transparency (tRNS), chunk by chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = ((b"IHDR", header), (b"tRNS", rule), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def encode(item: bytes, spec: str = "") -> tuple[bytes, str]:
    """The bytes of an item, and what is told of its losses."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        data, _ = (MEDIA.build(spec) if spec else recognise(item)).encode(item)
    assert len(told) <= 1
    assert all(issubclass(one.category, LossWarning) for one in told)
    return data, "".join(str(one.message) for one in told)


@pytest.mark.parametrize("name", fuzz.FORMATS)
def test_what_the_libraries_write_is_known(name: str) -> None:
    for item in fuzz.originals(name):
        assert recognise(item).name == ("audio" if name in fuzz._SOUNDS else "image")
        assert encode(item)[0]


def test_tags_before_mp3_and_flac() -> None:
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    for form, subtype in (("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16")):
        item = sound(format=form, subtype=subtype)
        assert encode(tag + item) == encode(item)


@pytest.mark.parametrize(
    "item",
    [
        b"BM is a suffix of BMP files, says page 40.",
        b"ID3 tags hold the titles of songs.",
        b"%PDF-1.4 begins each file of this kind",
        b"RIFFs are WAVEs",
        b"fLaC\n",
        b"GIF89a; it is said",
        b"II*\n",
        b"P5 and P6 are pages",
        b"OggS",
        b"PK was here",
        b"FORM 27 AIFF",
        "Überschrift: \x1b[1mfett\x1b[0m".encode(),
        b"\xff\xfe" + "ein Text".encode("utf-16-le"),
        b"\xff\xfb" * 40,
        bytes(range(256)) * 5,
        struct.pack("<300i", *range(300)),
        np.random.default_rng(1).bytes(5000),
        b"",
    ],
)
def test_texts_and_other_bytes_stay_text(item: bytes) -> None:
    assert recognise(item).name == "text"


@pytest.mark.parametrize(
    "item",
    [
        b"P5 " + b"# " * 1500 + b"x",
        b"P5 1 " + b"#\n# " * 1000 + b"x",
        b"%PDF-1.4" + b"\n" * 1300 + b"1" * 1300 + b" " * 1300,
        b"%PDF-1.4\n" + b"1 " * 2000,
    ],
)
def test_a_text_is_told_from_a_file_in_no_time(item: bytes) -> None:
    """60 bytes of a text with comments once took minutes, and twice as long for each further comment."""
    begin = time.process_time()
    assert recognise(item).name == "text"
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("start", "name", "advice"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>", "PDF", "pdftotext"),
        (b"%PDF-1.1\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", "PDF", "pdftotext"),
        (b"\0\0\0\x1cftypM4A \0\0\2\0", "M4A", "ffmpeg -i IN OUT.wav"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "MP4", "-frames:v 1"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0", "MP4", "-frames:v 1"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", "OUT.png"),
        (b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska", "Matroska", "ffmpeg"),
        (b"RIFF\0\1\0\0AVI LIST", "AVI", "ffmpeg"),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", "AAC", "ffmpeg"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "ZIP", "unzip"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip", "unpack it"),
        (b"\xfd7zXZ\0\0\x04", "xz", "unpack it"),
        (b"MThd\0\0\0\x06\0\1", "MIDI", "fluidsynth"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", "OUT.png"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera raw file", "develop"),
        (b"FORM\0\0\1\0" + b"8SVXVHDR\0\0\0\x14", "8SVX", "OUT.wav"),
    ],
)
def test_what_is_not_read_is_refused_by_name(start: bytes, name: str, advice: str) -> None:
    item = start + bytes(range(256)) * 4
    with pytest.raises(UsageError, match=name) as refused:
        recognise(item)
    assert advice in str(refused.value)
    assert MEDIA.build("text").encode(item)[0] == item
    for other in ("image", "audio"):
        with pytest.raises(UsageError, match=name):
            MEDIA.build(other).encode(item)


def test_text_is_not_written_under_suffixes_of_other_formats() -> None:
    text = MEDIA.build("text")
    for suffix in (".wav", ".PNG", ".mp3", ".flac", ".jpg", ".pdf", ".zip"):
        with pytest.raises(UsageError, match=r"name the file \.txt or \.bin"):
            text.checked(suffix)
    assert [text.checked(suffix) for suffix in ("", ".TXT", ".bin", ".md", ".c")] == ["", ".txt", ".bin", ".md", ".c"]
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes))


SIX = np.stack([TONE] * 6, axis=1)
ALPHA = np.dstack([RGB, np.arange(192, dtype=np.uint8).reshape(12, 16)])
OPAQUE = np.dstack([RGB, np.full((12, 16), 255, np.uint8)])
TURNED = image_module.fromarray(RGB[::-1])


@pytest.mark.parametrize(
    ("item", "spec", "told"),
    [
        (picture(), "", ()),
        (picture(RGB[..., 0], "1"), "", ("1 bits",)),
        (picture(RGB, "P"), "", ("palette",)),
        (picture(OPAQUE), "", ()),
        (picture(ALPHA), "", ()),
        (picture(ALPHA), "image:channels=3", ("transparent",)),
        (picture(RGB[..., 0].astype(np.uint16) << 7), "", ()),
        (picture(RGB[..., 0].astype(np.uint16) << 7), "image:channels=3", ("16 bits",)),
        (picture(RGB[..., 0].astype(np.uint16) << 7), "image:bits=8", ()),
        (picture(RGB[..., 0].astype(np.uint16) << 7, form="TIFF"), "", ()),
        (png(16, 2, [bytes(range(12))], 2, b"\xff" * 6), "", ("16 bits",)),
        (picture(RGB, form="GIF", save_all=True, append_images=[TURNED]), "", ("first frame", "palette")),
        (picture(RGB, form="PNG", save_all=True, append_images=[TURNED]), "", ("first frame",)),
        (picture(RGB, form="WEBP", save_all=True, append_images=[TURNED]), "", ("first frame",)),
        (picture(RGB, form="TIFF", save_all=True, append_images=[TURNED]), "", ("first frame",)),
        (picture(RGB, "CMYK", "JPEG"), "", ("CMYK",)),
        (picture(RGB, icc_profile=b"some other profile" * 9), "", ("profile",)),
        (picture(ALPHA, form="WEBP", save_all=True, append_images=[TURNED]), "", ("first frame",)),
        (sound(subtype="PCM_U8"), "", ()),
        (sound(), "", ()),
        (sound(), "audio:coding=linear", ()),
        (sound(), "audio:coding=16-bit", ()),
        (sound(), "audio:coding=mu-law", ()),
        (sound(), "audio:coding=16-bit,rate=8000,channels=2", ()),
        (sound(subtype="PCM_24"), "", ("24 bits become samples of 16",)),
        (sound(subtype="PCM_24"), "audio:coding=16-bit", ()),
        (sound(TONE / 32768, subtype="FLOAT"), "", ("32 bits",)),
        (sound(TONE / 8000, subtype="FLOAT"), "", ("full scale", "32 bits")),
        (sound(format="MP3", subtype="MPEG_LAYER_III"), "audio:coding=16-bit", ()),
        (sound(SIX), "", ()),
        (sound(np.hstack([SIX, SIX])), "", ("12 channels",)),
        (sound(SIX), "audio:coding=16-bit,channels=1", ()),
    ],
)
def test_what_is_dropped_is_told_once(item: bytes, spec: str, told: tuple[str, ...]) -> None:
    words = encode(item, spec)[1]
    assert words.count(";") == max(len(told) - 1, 0)
    assert bool(words) == bool(told)
    assert all(one in words for one in told)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (png(16, 0, [b"\0\0\x40\0"], 2, b"\0\0"), [255, 64]),
        (png(16, 0, [b"\x40\1\x40\0"], 2, b"\x40\1"), [255, 64]),
        (png(8, 0, [b"\x05\x07"], 2, b"\0\5"), [255, 7]),
        (png(8, 0, [b"\x05\x07"], 2, b"\1\5"), [255, 7]),  # the bits above a sample are ignored
        (png(4, 0, [b"\x5a"], 2, b"\0\5"), [255, 170]),
        (png(2, 0, [b"\x1b"], 4, b"\0\2"), [0, 85, 255, 255]),
        (png(1, 0, [b"\x40"], 2, b"\0\0"), [255, 255]),
        (png(8, 2, [b"\1\2\3\4\5\6"], 2, b"\0\1\0\2\0\3"), [255, 255, 255, 4, 5, 6]),
        (png(8, 2, [b"\1\2\3\4\5\6"], 2, b"\1\1\1\2\1\3"), [255, 255, 255, 4, 5, 6]),
        (png(16, 2, [b"\1\1\1\1\1\1\2\2\2\2\2\2"], 2, b"\3" * 6), [1, 1, 1, 2, 2, 2]),
    ],
)
def test_a_sample_that_png_calls_transparent_is_white(item: bytes, expected: list[int]) -> None:
    assert list(encode(item, f"image:bits=8,channels={3 if item[25] == 2 else 1}")[0]) == expected


def test_a_rule_of_transparency_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(UsageError, match="flatten"):
        encode(png(16, 2, [b"\1\1\1\1\1\1\2\2\2\2\2\2"], 2, b"\1" * 6))


@pytest.mark.parametrize("name", fuzz.FORMATS)
def test_a_file_that_is_cut_short_gives_no_other_bytes(name: str) -> None:
    item = fuzz.originals(name)[0]
    whole, medium = encode(item)[0], recognise(item).name
    for size in sorted({1, 2, 3, 9, 40, len(item) // 3, len(item) // 2, len(item) - 9}):
        try:
            data = encode(item[:-size], medium)[0]
        except UsageError as error:
            words = str(error)
            assert "get it whole" in words or "known format" in words or "that is read" in words
        else:  # what is missing is not of the samples
            assert data == whole, f"{size} bytes are missing, and nobody says so"


def flipped(item: bytes, place: int) -> bytes:
    changed = bytearray(item)
    changed[place] ^= 1
    return bytes(changed)


def test_checksums_are_checked() -> None:
    flac = sound(format="FLAC")
    for place in (30, len(flac) // 2):  # in the MD5 of the samples, and in a frame
        with pytest.raises(UsageError, match="FLAC file is damaged"):
            encode(flipped(flac, place))
    assert encode(flac[:26] + bytes(16) + flac[42:]) == encode(flac)  # its writer computed none
    for bits in ("PCM_S8", "PCM_24"):
        encode(sound(SIX, format="FLAC", subtype=bits))
    ogg = sound(format="OGG", subtype="VORBIS")
    with pytest.raises(UsageError, match="chain of streams"):
        encode(ogg + ogg)
    with pytest.raises(UsageError, match="checksum of a page"):
        encode(flipped(ogg, len(ogg) - 50))
    item = picture()
    with pytest.raises(UsageError, match="checksum of its chunk IDAT"):
        encode(flipped(item, item.index(b"IDAT") + 40))


def test_of_an_animation_the_first_frame_is_kept() -> None:
    for form in ("PNG", "TIFF", "WEBP", "GIF"):
        levels = RGB[..., 0] // 16 * 16
        other = image_module.fromarray(255 - levels).convert("RGB")
        options = {"lossless": True} if form == "WEBP" else {}
        item = picture(levels, "RGB", form, save_all=True, append_images=[other], **options)
        assert encode(item)[0] == np.repeat(levels.reshape(-1), 3).tobytes()


def test_flac_files_whose_writer_counted_nothing() -> None:
    flac = sound(format="FLAC")
    bare = flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + bytes(16) + flac[42:]
    with pytest.raises(UsageError, match="FLAC file"):
        encode(flac[:21] + bytes([flac[21] & 0xF0]) + b"\0\0\0\1" + bytes(17) + flac[43:])
    try:
        data = encode(bare)[0]
    except UsageError:
        return
    assert data == encode(flac)[0]


def test_an_mp3_file_without_a_count_that_ends_inside_a_frame() -> None:
    item = sound(np.tile(TONE, 4), format="MP3", subtype="MPEG_LAYER_III")
    bare = item[frame_size(item[:4]) :]  # without the first frame, which counts the others
    assert b"Xing" not in bare
    assert b"Info" not in bare
    assert encode(bare)[0]
    with pytest.raises(UsageError, match="last frame is not whole"):
        encode(bare[:-5])


def test_many_scans_of_a_jpeg_are_refused() -> None:
    item = picture(form="JPEG", progressive=True)
    scan = item[item.rindex(b"\xff\xda") : -2]
    assert encode(item)[0]
    with pytest.raises(UsageError, match="more than 50 scans"):
        encode(item[:-2] + scan * 200 + item[-2:])


@pytest.mark.parametrize("size", [0x7FFF_F000, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_wav_files_from_pipes_name_no_size(size: int) -> None:
    item = sound()
    place = item.index(b"data") + 4
    piped = item[:4] + struct.pack("<I", size) + item[8:place] + struct.pack("<I", size) + item[place + 4 :]
    assert encode(piped) == encode(item)
    with pytest.raises(UsageError, match="never filled in"):
        encode(item[:place] + bytes(4) + item[place + 4 :])


@pytest.mark.parametrize(
    "item",
    [
        b"RIFF\xff\xff\xff\x7fWAVEjunk\xff\xff\xff\x7f",
        b"RIFF\xff\xff\xff\x7fWAVE",
        b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0" + bytes(16) + b"data\xff\xff\xff\x7fOggS",
        b"FORM\xff\xff\xff\xffAIFFCOMM\xff\xff\xff\xff",
        b"caff\0\1\0\0desc\x80\0\0\0\0\0\0\0" + bytes(20),
        b".snd\0\0\0\x18\xff\xff\xff\xff\0\0\0\3\0\0\0\0\0\0\0\1",
        b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR",
        b"\xff\xd8\xff\xff\xff\xff",
        b"II*\0\xff\xff\xff\xff",
        b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0" + b"\xff\xff\xff\x7f" * 2 + b"\1\0\x18\0" + bytes(24),
    ],
)
def test_hostile_headers_end_in_one_line(item: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError) as refused:
        recognise(item).encode(item)
    assert str(refused.value).isprintable()
    assert " at 0x" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_c_libraries_write_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    tiff = picture(RGB, form="TIFF", compression="tiff_adobe_deflate")
    with pytest.raises(UsageError, match="TIFF file is damaged"):
        encode(tiff[:12] + bytes(100) + tiff[112:])
    mp3 = sound(format="MP3", subtype="MPEG_LAYER_III")
    encode(mp3[:900] + bytes(50) + mp3[950:])
    assert capfd.readouterr().err == ""


def test_a_rate_out_of_range_is_told_with_the_option_that_helps() -> None:
    for rate, spec in ((384_000, "audio:rate=48000"), (500, "audio:rate=8000")):
        item = sound(TONE, rate, format="FLAC")
        with pytest.raises(UsageError, match=f"{rate} samples a second.*--medium {spec}"):
            encode(item)
        assert len(encode(item, spec)[0]) == 2 * 4000 * int(spec.partition("=")[2]) // rate


@pytest.mark.parametrize(
    "item",
    [
        sound(),
        sound(subtype="PCM_U8"),
        sound(np.stack([TONE, -TONE], axis=1), 22_050),
        sound(SIX, 48_000),
        sound(SIX[:, :3], format="FLAC"),
    ],
    ids=["16 bits", "8 bits", "two channels", "six channels", "three channels"],
)
def test_a_sound_comes_back_as_it_came(item: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, medium = recognise(item).encode(item)
    for suffix in (".wav", ".flac"):
        back = medium.decode(data, suffix)
        one, other = soundfile.info(io.BytesIO(item)), soundfile.info(io.BytesIO(back))
        assert (one.samplerate, one.channels, one.frames) == (other.samplerate, other.channels, other.frames)
        assert one.subtype[-2:].replace("U", "S") == other.subtype[-2:].replace("U", "S")
        assert np.array_equal(*(soundfile.read(io.BytesIO(each), dtype="int16")[0] for each in (item, back)))


@pytest.mark.parametrize("form", [".png", ".tiff"])
@pytest.mark.parametrize(
    "item",
    [
        picture(),
        picture(RGB[..., 0]),
        picture(ALPHA),
        picture(OPAQUE),
        picture(ALPHA[..., 2:]),
        picture(RGB[..., 0].astype(np.uint16) * 257 + 3),
        picture(RGB[..., 0].astype(np.uint16) * 257 + 3, form="TIFF"),
    ],
    ids=["RGB", "gray", "alpha", "opaque", "gray with alpha", "16 bits", "16 bits, TIFF"],
)
def test_a_picture_comes_back_as_it_came(item: bytes, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, medium = recognise(item).encode(item)
    one, other = (image_module.open(io.BytesIO(each)) for each in (item, medium.decode(data, form)))
    assert (one.mode, one.size) == (other.mode, other.size)
    assert np.array_equal(np.asarray(one), np.asarray(other))


def test_bmp_refuses_what_it_cannot_keep() -> None:
    for item in (picture(ALPHA), picture(RGB[..., 0].astype(np.uint16) * 257)):
        _, medium = recognise(item).encode(item)
        with pytest.raises(UsageError, match=r"BMP keeps neither.*name a \.png"):
            medium.checked(".bmp")


def test_pictures_that_are_of_no_known_range() -> None:
    with pytest.raises(UsageError, match="floating point"):
        encode(picture(RGB[..., 0].astype(np.float32), form="TIFF"))
    with pytest.raises(UsageError, match="more than 16 bits"):
        encode(picture(RGB[..., 0].astype(np.int32) << 16, form="TIFF"))


def test_a_plugin_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Graymap(type(MEDIA.build("text"))):  # type: ignore[misc]
        recognises: Callable[[bytes], bool] = staticmethod(lambda item: item.startswith(b"P5"))

    item = picture(RGB[..., 0], form="PPM")
    assert recognise(item).name == "image"
    monkeypatch.setattr(MEDIA, "_registered", {"graymap": Graymap})
    assert type(recognise(item)) is Graymap

"""Sound and pictures: any bytes become an item and come back, bad files end in one line, and kinds are recognised."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compgen.errors import UsageError
from compgen.media import MEDIA, recognise
from compgen.testing import check_medium

image_module = pytest.importorskip("PIL.Image")
soundfile = pytest.importorskip("soundfile")

pytestmark = pytest.mark.filterwarnings("ignore::compgen.errors.LossWarning")  # see test_media_files.py

WHOLE = [
    "image:width=7",
    "image:width=5,channels=3",
    "audio:rate=8000",
    "audio:coding=mu-law,channels=2,rate=16000",
    "audio:coding=16-bit,rate=44100",
    "audio:coding=16-bit,channels=2",
    "audio:coding=16-bit,channels=6",
    "image:width=5,channels=4",
    "image:width=5,channels=2",
    "image:width=4,bits=16",
    "text",
    "text:valid=true",
]


def sound(samples: object, rate: int = 16_000, **form: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", "subtype": "PCM_16", **form})
    return file.getvalue()


def picture(array: object, mode: str | None = None, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    made = image_module.fromarray(array)
    (made.convert(mode) if mode else made).save(file, form, **options)
    return file.getvalue()


TONE = np.rint(12_000 * np.sin(np.arange(8000) / 5)).astype(np.int16)
GRAY = (np.mgrid[:20, :30].sum(axis=0) * 5).astype(np.uint8)


@pytest.mark.parametrize("spec", WHOLE)
def test_conforms(spec: str) -> None:
    check_medium(MEDIA.build(spec))


@pytest.mark.parametrize("spec", WHOLE)
@given(data=st.binary(min_size=1, max_size=50))
@example(data=b"OggS")  # libsndfile takes a WAV file of these samples for another format
@example(data=b"wvpk" * 3)
def test_any_bytes_come_back(spec: str, data: bytes) -> None:
    medium = MEDIA.build(spec)
    if spec != "text:valid=true":
        assert medium.encode(medium.decode(data))[0].startswith(data)
    else:
        medium.decode(data).decode()


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (sound(TONE), "audio"),
        (sound(TONE, format="FLAC"), "audio"),
        (sound(TONE, format="OGG", subtype="VORBIS"), "audio"),
        (picture(GRAY), "image"),
        (picture(GRAY, form="JPEG"), "image"),
        (picture(GRAY, "RGB", "WEBP"), "image"),
        (b"RIFFs are riffs", "text"),
        (b"", "text"),
        (bytes(range(256)), "text"),
    ],
    ids=["wav", "flac", "ogg", "png", "jpeg", "webp", "riff", "empty", "bytes"],  # Ogg's bytes are new each time
)
def test_items_are_recognised_by_content(item: bytes, name: str) -> None:
    assert recognise(item).name == name


def test_the_papers_eight_bits_are_the_high_byte() -> None:
    data, medium = MEDIA.build("audio:coding=linear").encode(sound(TONE))
    assert data == ((TONE.astype(np.int32) >> 8) + 128).astype(np.uint8).tobytes()
    assert str(medium) == "audio:coding=linear,rate=16000,channels=1"
    both, _ = MEDIA.build("audio:coding=16-bit").encode(sound(TONE))
    assert both[::2] == data


def test_mu_law_is_nearer_to_quiet_sound_than_linear() -> None:
    quiet = (TONE // 64).astype(np.int16)
    errors = []
    for coding in ("linear", "mu-law"):
        data, medium = MEDIA.build(f"audio:coding={coding}").encode(sound(quiet))
        back, _ = soundfile.read(io.BytesIO(medium.decode(data)), dtype="int16")
        errors.append(np.abs(back.astype(int) - quiet).mean())
    assert errors[1] < errors[0] / 10


@pytest.mark.parametrize(("subtype", "tolerance"), [("PCM_24", 1), ("FLOAT", 1), ("DOUBLE", 1), ("PCM_U8", 256)])
def test_other_wav_formats_sound_the_same(subtype: str, tolerance: int) -> None:
    data, _ = MEDIA.build("audio:coding=16-bit").encode(sound(TONE / 32768, subtype=subtype))
    back = np.frombuffer(data, dtype=">u2").astype(int) - 32768
    assert np.abs(back - TONE).max() <= tolerance


def test_floats_beyond_full_scale_and_not_numbers() -> None:
    data, _ = MEDIA.build("audio:coding=linear").encode(
        sound(np.array([2.0, -2.0, np.nan, np.inf, 0.0]), subtype="FLOAT")
    )
    assert list(data) == [255, 0, 128, 255, 128]


def test_channels_and_rates() -> None:
    stereo = np.stack([TONE, -TONE], axis=1)
    data, medium = MEDIA.build("audio:coding=linear").encode(sound(stereo))
    assert (medium.layout.channels, len(data)) == (2, 16_000)
    data, _ = MEDIA.build("audio:coding=linear,channels=1").encode(sound(stereo))
    assert set(data) == {128}  # they cancel
    data, medium = MEDIA.build("audio:coding=linear,rate=4000").encode(sound(TONE))
    assert (str(medium), len(data)) == ("audio:coding=linear,rate=4000,channels=1", 2000)


def test_a_sound_of_no_length() -> None:
    data, medium = MEDIA.build("audio:rate=8000").encode(sound(np.zeros(0, np.int16)))
    assert data == b""
    assert soundfile.info(io.BytesIO(medium.decode(b""))).frames == 0
    with pytest.raises(UsageError, match=r"write a \.wav"):
        medium.decode(b"", ".flac")


def test_a_tiny_and_a_wide_picture() -> None:
    for shape in ((1, 1), (1, 70_000)):
        data, medium = MEDIA.build("image").encode(picture(np.full(shape, 77, np.uint8)))
        assert data == bytes([77]) * shape[1]
        assert image_module.open(io.BytesIO(medium.decode(data))).size == shape[::-1]


@pytest.mark.parametrize(
    ("item", "first"),
    [
        (picture((GRAY.astype(np.uint16) << 8) | 0xAB), bytes([0, 0xAB, 5, 0xAB])),
        (picture(np.dstack([GRAY, GRAY, GRAY, np.zeros_like(GRAY)])), b"\0\0\0\0\5\5\5\0"),
        (picture(np.dstack([GRAY + 9, GRAY + 9, GRAY + 9, np.full_like(GRAY, 255)])), b"\x09\x09\x09\xff"),
        (picture(GRAY, "P"), b"\0\0\0"),
        (picture(GRAY, "1"), b"\0"),
        (picture(np.dstack([GRAY, np.zeros_like(GRAY)]), "LA"), b"\0\0\5\0"),
    ],
    ids=["16 bits", "clear", "opaque", "palette", "bits", "gray with alpha"],
)
def test_other_pngs_look_the_same(item: bytes, first: bytes) -> None:
    data, medium = MEDIA.build("image").encode(item)
    assert data.startswith(first)
    assert medium.layout.stride == 30 * medium.layout.pixel


def test_a_picture_held_sideways_is_turned() -> None:
    turned = image_module.Exif()
    turned[0x0112] = 6
    _, medium = MEDIA.build("image").encode(picture(GRAY, form="JPEG", exif=turned))
    assert medium.layout.stride == 20


def bomb(side: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def long_flac() -> bytes:
    """Return a file whose header promises a day of sound, with one second of it."""
    whole = bytearray(sound(TONE, format="FLAC"))
    whole[21:26] = bytes([whole[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])
    return bytes(whole)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (bomb(10_000), "pixels, more than"),
        (bomb(100_000), "pixels"),
        (picture(np.random.default_rng(1).integers(0, 255, (20, 30), np.uint8))[:200], "PNG file is cut short"),
        (picture(GRAY)[:9], "PNG file is cut short"),
        (sound(TONE)[:20], "WAV file is cut short"),
        (b"fLaC" + bytes(50), "the sound cannot be read"),
    ],
    ids=["bomb", "greater bomb", "half a picture", "no picture", "no sound", "no flac"],
)
def test_bad_items_are_told(item: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recognise(item).encode(item)


def test_a_header_that_promises_too_much_costs_no_memory() -> None:
    try:
        data, _ = MEDIA.build("audio").encode(long_flac())
    except UsageError:
        return
    assert len(data) <= 8000


@pytest.mark.parametrize(
    ("spec", "suffix", "words"),
    [
        ("image:width=9", ".jpg", r"\.png"),
        ("audio", ".mp3", r"\.wav or \.flac"),
        ("image", "", "a width"),
    ],
)
def test_what_cannot_be_written(spec: str, suffix: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        MEDIA.build(spec).decode(b"abc", suffix)


@pytest.mark.parametrize(
    "spec",
    [
        "audio:coding=mp3",
        "audio:rate=5",
        "audio:channels=9",
        "image:channels=5",
        "image:bits=12",
        "image:channels=3,bits=16",
    ],
)
def test_options_out_of_range(spec: str) -> None:
    with pytest.raises(UsageError, match=r"must be|unknown coding"):
        MEDIA.build(spec)

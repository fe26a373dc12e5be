"""PNG and FLAC: their files open in ordinary programs, and their lengths are exact over rows and blocks."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compgen.compressors import COMPRESSORS
from compgen.errors import CorruptDataError, UsageError
from compgen.media.layout import completed

_NOISE = np.random.default_rng(6)


def tone(samples: int) -> bytes:
    time = np.arange(samples) / 16_000
    wave = 0.4 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time) + _NOISE.normal(0, 0.01, samples)
    return np.clip(128 + 127 * wave, 0, 255).astype(np.uint8).tobytes()


def picture(rows: int, row: int) -> bytes:
    y, x = np.mgrid[:rows, :row]
    waves = 128 + 60 * np.sin(x / 9 + y / 7) + _NOISE.integers(0, 6, (rows, row))
    return bytes(waves.astype(np.uint8).tobytes())


@given(st.binary(max_size=40), st.integers(1, 9))
def test_what_a_record_lacks_is_as_in_the_one_before(data: bytes, size: int) -> None:
    whole = completed(data, size)
    assert whole.startswith(data)
    assert len(whole) == math.ceil(len(data) / size) * size
    for position in range(len(data), len(whole)):
        assert whole[position] == (whole[position - size] if position >= size else 128)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_a_viewer_opens_a_png(channels: int, mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    png = COMPRESSORS.build(f"png:width=30,channels={channels}")
    data = picture(20, 30 * channels)
    opened = image.open(io.BytesIO(png.compress(data)))
    assert (opened.mode, opened.size, opened.tobytes()) == (mode, (30, 20), data)
    ragged = data[:-17]
    opened = image.open(io.BytesIO(png.compress(ragged)))
    assert opened.size == (30, 20)
    assert opened.tobytes().startswith(ragged)
    assert png.decompress(png.compress(ragged)) == ragged


def test_a_viewer_opens_a_png_of_16_bits() -> None:
    image = pytest.importorskip("PIL.Image")
    data = picture(20, 60)
    opened = image.open(io.BytesIO(COMPRESSORS.build("png:width=30,bits=16").compress(data)))
    assert np.array_equal(np.asarray(opened).reshape(-1), np.frombuffer(data, dtype=">u2"))


def test_filters_help_and_width_matters() -> None:
    data = picture(64, 64)
    gzip, wrong, right = (COMPRESSORS.build(s).code_length(data) for s in ("gzip", "png:width=50", "png:width=64"))
    assert right < 0.9 * gzip
    assert right < 0.95 * wrong


@given(st.binary(max_size=80), st.integers(1, 9), st.integers(1, 4), st.sampled_from([8, 16]))
def test_png_gives_any_bytes_back(data: bytes, width: int, channels: int, bits: int) -> None:
    png = COMPRESSORS.build(f"png:width={width},channels={channels},bits={bits}")
    assert png.decompress(png.compress(data)) == data


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:-30] + b"\0" + b[-29:]])
@pytest.mark.parametrize("spec", ["png", "flac", "flac:bits=16"])
def test_damage_is_told(spec: str, damage: object) -> None:
    if spec.startswith("flac"):
        pytest.importorskip("soundfile")
    compressor = COMPRESSORS.build(spec)
    with pytest.raises(CorruptDataError):
        compressor.decompress(damage(compressor.compress(tone(3001))))  # type: ignore[operator]


@pytest.mark.parametrize("spec", ["flac", "flac:bits=16", "flac:channels=2", "flac:channels=2,bits=16"])
def test_flac_lengths_over_blocks(spec: str) -> None:
    """Closed blocks are not coded again, and the 128th has a number of two bytes."""
    pytest.importorskip("soundfile")
    flac = COMPRESSORS.build(spec)
    frame = flac.frame  # type: ignore[attr-defined]
    context = tone(9000 * frame)
    meter = flac.open(context[:50])
    meter.extend(context[50:])
    for more in (b"", b"a", context[:777], context):
        blob = flac.compress(context + more)
        spare = 8 * len(blob) - meter.code_lengths([more])[0]
        assert 0 <= spare < 8 + (flac.overhead if len(more) % frame else 0)
        assert flac.decompress(blob) == context + more
    long = bytes([120, 130]) * (2048 * 129 * frame + 7)
    assert 0 <= 8 * len(flac.compress(long)) - flac.code_length(long) < 8 + flac.overhead


def test_flac_sees_parts_of_a_byte() -> None:
    """Candidates near what is expected cost less, in steps of bits: what the one-step rule draws from."""
    pytest.importorskip("soundfile")
    data = tone(3000)
    lengths = COMPRESSORS.build("flac").code_lengths(data, [bytes([b]) for b in range(256)])
    assert len(set(lengths % 8)) == 8
    assert abs(int(lengths.argmin()) - data[-1]) < 40
    assert lengths.max() - lengths.min() > 20


def test_a_player_opens_a_flac() -> None:
    soundfile = pytest.importorskip("soundfile")
    data = tone(5001)
    samples, rate = soundfile.read(io.BytesIO(COMPRESSORS.build("flac").compress(data)), dtype="int16")
    assert rate == 16_000
    assert ((samples >> 8) + 128).astype(np.uint8).tobytes() == data
    samples, _ = soundfile.read(io.BytesIO(COMPRESSORS.build("flac:channels=2,bits=16").compress(data)))
    assert samples.shape == (1251, 2)


@pytest.mark.parametrize("spec", ["png:width=0", "png:channels=5", "png:bits=4", "flac:channels=3", "flac:bits=24"])
def test_options_out_of_range(spec: str) -> None:
    if spec.startswith("flac"):
        pytest.importorskip("soundfile")
    with pytest.raises(UsageError, match="must be"):
        COMPRESSORS.build(spec)


def test_png_on_real_patches(data_root: object) -> None:
    """Patches of 64 by 32 pixels: our own filters do as well as Pillow's."""
    image = pytest.importorskip("PIL.Image")
    patches = np.fromfile(f"{data_root}/image/imagenet_patches_32x64_u8.bin", dtype=np.uint8, count=40 * 2048)
    ours = theirs = 0
    for patch in patches.reshape(-1, 32, 64):
        ours += len(COMPRESSORS.build("png").compress(patch.tobytes()))
        file = io.BytesIO()
        image.fromarray(patch).save(file, "PNG", optimize=True)
        theirs += len(file.getvalue())
    assert ours <= 1.001 * theirs


_LAYOUTS = [
    *(f"{name}:width={width},channels={channels}" for name in ("jpegls", "jpegxl", "webp", "png")
      for width in (1, 7, 64) for channels in (1, 3)),
    *(f"{name}:width=7,channels={channels},bits=16" for name in ("jpegls", "jpegxl", "png") for channels in (1, 3)),
    "flac", "flac:bits=16", "flac:channels=2", "flac:channels=2,bits=16",
]  # fmt: skip


@pytest.mark.parametrize("spec", _LAYOUTS)
def test_noise_of_any_length_comes_back(spec: str) -> None:
    """JPEG-LS may need four times the bytes of its picture, and a WebP file holds 16,382 rows; both ended in errors."""
    pytest.importorskip("soundfile" if spec.startswith("flac") else "imagecodecs")
    compressor = COMPRESSORS.build(spec)
    for length in (1, 2, 5, 63, 64, 65, 384, 1000, 4097, 12_000, 20_001):
        data = np.random.default_rng(length).bytes(length)
        assert compressor.decompress(compressor.compress(data)) == data, length


def test_webp_of_many_rows_is_webp_files() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    webp = COMPRESSORS.build("webp:width=1,channels=3")
    data = np.random.default_rng(4).bytes(3 * 20_000)
    blob = webp.compress(data)
    assert blob.count(b"RIFF") == 2
    start = blob.index(b"RIFF", 9)
    shown = [imagecodecs.webp_decode(file) for file in (blob[4:start], blob[start:])]
    assert np.concatenate(shown).tobytes() == data
    for damaged in (blob[:start], blob[: start + 6], blob + blob[start:], blob[:8] + b"\xff" * 4 + blob[12:]):
        with pytest.raises(CorruptDataError):
            webp.decompress(damaged)
    with pytest.raises(UsageError, match="between 1 and 16382 pixels"):
        COMPRESSORS.build("webp:width=16383")

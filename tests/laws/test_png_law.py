"""The law of PNG: against all ways to write tiny pictures, and against zlib's and Pillow's decoders of random bits."""

from __future__ import annotations

import functools
import hashlib
import io
import math
import struct
import zlib

import numpy as np
import pytest

import compgen
from compgen.compressors import COMPRESSORS
from compgen.laws.forward import LOOPS
from compgen.laws.lz77 import Pass, Prices
from compgen.laws.png import OpenRow, PngLaw
from compgen.laws.png_filters import filtered
from compgen.models import load
from tests.laws.deflate_oracle import Decoder, chi_square, codes_alone, enumerated, tiny

SIDE = 96


def photograph(channels: int, seed: int = 7) -> bytes:
    """A made picture, smooth but for noise: (96, 96, channels)."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE][..., None]
    phase = np.arange(channels)
    waves = 60 * np.sin(x / 17 + phase) + 50 * np.cos(y / 23 + x / 41)
    pixels: np.ndarray = (128 + waves + generator.normal(0, 2.5, (SIDE, SIDE, channels))).astype(np.uint8)
    return pixels.tobytes()


def law_of(spec: str) -> PngLaw:
    law = COMPRESSORS.build(spec).law()
    assert isinstance(law, PngLaw)
    return law


@pytest.fixture(params=["numpy", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(LOOPS, "cost", 0.0 if request.param == "compiled" else math.inf)
    return str(request.param)


ALL = tiny(
    {b: {0: 2, 1: 3, 255: 3, 2: 4, 254: 4, 3: 5, 4: 5}.get(b, 11 if 5 <= b < 12 else 12) for b in range(256)},
    {3: 3, 4: 4, 5: 4},
    {1: 1, 2: 2, 3: 3, 5: 3},
)
"""Complete codes for all bytes: nothing is lost to code space that no output uses."""


def residual_rows(above: bytes, line: bytes, pixel: int) -> list[bytes]:
    """The residuals of a row under each filter, by the specification's own words (section 9)."""
    rows = []
    for number in range(5):
        row = bytearray()
        for place, byte in enumerate(line):
            a = line[place - pixel] if place >= pixel else 0
            b, c = above[place], above[place - pixel] if place >= pixel else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append((byte - [0, a, b, (a + b) // 2, nearest][number]) % 256)
        rows.append(bytes(row))
    return rows


@functools.cache
def enumerated_row(pixel: int, seed: int) -> tuple[bytes, int, list[np.ndarray]]:
    """Return a picture of three rows, their width, and each byte's chances in the last by all ways to write the stream.

    Equal beliefs in the filters, the control, are far off.
    """
    row, generator = 6, np.random.default_rng([seed, pixel])
    picture = np.cumsum(generator.integers(0, 2, 3 * row)).astype(np.uint8).tobytes()
    known = filtered(picture[: 2 * row], bytes(row), pixel)
    found, off = [], []
    for place in range(2 * row, 3 * row):
        line = picture[2 * row : place]
        chances, equal = np.zeros(256), np.zeros(256)
        for b in range(256):
            for number, residuals in enumerate(residual_rows(picture[row : 2 * row], line + bytes([b]), pixel)):
                chance = enumerated(ALL, b"", known + bytes([number]) + residuals)
                before = enumerated(ALL, b"", known + bytes([number]) + residuals[:-1])
                chances[b] += float(chance)
                equal[b] += float(chance / before)
        found.append(chances / chances.sum())
        off.append(float(np.abs(equal / equal.sum() - found[-1]).max()))
    assert max(off) > 0.01
    return picture, row, found


@pytest.mark.parametrize("pixel", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_the_mixture_over_filters_is_that_of_enumeration(form: str, pixel: int, seed: int) -> None:
    picture, row, expected = enumerated_row(pixel, seed)
    state = PngLaw(row, pixel, lambda stream: ALL).start(picture[: 2 * row])
    for symbol, chances in zip(picture[2 * row :], expected, strict=True):
        assert np.abs(state.frequencies() / (1 << 24) - chances).max() < 5e-5
        state.append(symbol)


SPECS = ("png:width=48", "png:width=1", "png:width=7,channels=3", "png:width=3,channels=4,bits=16", "png:width=1500")


@pytest.mark.parametrize("spec", SPECS)
def test_a_fresh_start_is_what_going_on_comes_to_in_both_forms(spec: str) -> None:
    """Over borders of rows, places where passes begin anew, and with every byte or many at a time."""
    pytest.importorskip("numba")
    law, data = law_of(spec), (photograph(1) + np.random.default_rng(2).bytes(100))[-3150:]
    begin = len(data) - (60 if law.row < 10 else 180)
    found = []
    for cost in (math.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LOOPS, "cost", cost)
            grown, read = law.start(data[:begin]), law.start(data[:begin])
            fork = read.fork()
            low, width = read.consume(np.frombuffer(data[begin:], dtype=np.uint8))
            for symbol in data[begin:]:
                grown.append(symbol)
            fresh = law.start(data).frequencies()
            assert np.array_equal(grown.frequencies(), fresh)
            assert np.array_equal(read.frequencies(), fresh)
            assert fresh.sum() == 1 << 24
            assert fresh.min() >= 1
            assert np.array_equal(fork.frequencies(), law.start(data[:begin]).frequencies())
            found.append((low, width, fresh, *read.parts()))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    low, width, *_ = found[0]
    assert ((low >= 0) & (width >= 1) & (low + width <= 1 << 24)).all()


@pytest.mark.parametrize("row", [1, 2, 4, 48, 255, 1023, 1024, 1500, 40_000])
def test_where_passes_begin_anew_depends_on_the_number_of_bytes_alone(row: int) -> None:
    law = PngLaw(row, 1, lambda stream: ALL)
    here, after = law.opened(0)
    assert here == 0
    for length in range(9000):
        if length == after:
            here, follows = law.opened(length)
            assert here == after
            after = follows
        assert law.opened(length) == (here, after)
        assert after > length
        assert here % row == 0 or row >= 1024


def test_compiled_loops_may_take_over_at_any_byte() -> None:
    pytest.importorskip("numba")
    law, data = law_of("png:width=32,channels=3"), photograph(3)
    state, plain = law.start(data[:1700]), law.start(data[:1700])
    with pytest.MonkeyPatch.context() as patch:
        for step, symbol in enumerate(data[1700:1850]):
            patch.setattr(LOOPS, "cost", 0.0 if step // 7 % 2 else math.inf)
            state.append(symbol)
            patch.setattr(LOOPS, "cost", math.inf)
            plain.append(symbol)
            assert np.array_equal(state.frequencies(), plain.frequencies())


def test_its_parts_are_the_filters_and_the_law() -> None:
    law, data = law_of("png:width=96"), photograph(1)
    state = law.start(data[:4000])
    parts, numbers = state.parts()
    assert parts.shape == (6, 256)
    assert (parts.sum(axis=1) == 1 << 30).all()
    assert np.array_equal(parts[5] >> 6, state.frequencies())
    believed, run = numbers
    nearest = np.abs(parts[:5] - parts[5]).sum(axis=1)
    assert nearest[believed] == nearest.min()
    assert 0 <= run <= 4
    zeros = law.start(bytes(4000)).parts()
    assert zeros[1][1] == 4, "a match of zeros has run for long"


def unfiltered(above: bytes, coded: list[bytes], pixel: int) -> np.ndarray:
    """What Pillow makes of rows of a filter byte and residuals, each below ``above``; (rows, bytes)."""
    image = pytest.importorskip("PIL.Image")
    lines = b"".join(b"\0" + above + one for one in coded)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", len(above) // pixel, 2 * len(coded), 8, {1: 0, 3: 2}[pixel], 0, 0, 0)
    blob = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 1)) + chunk(b"IEND", b"")
    pixels = np.asarray(image.open(io.BytesIO(blob)))
    rows: np.ndarray = pixels.reshape(2 * len(coded), -1)[1::2]
    return rows


TRIALS = 20_000


@pytest.mark.parametrize("channels", [1, 3])
def test_real_decoders_fed_with_random_bits_write_by_this_law(channels: int) -> None:
    """First and later bytes of a row: chi-square at an error rate of 1 in 10,000. Beliefs that stay equal fail."""
    picture, row = photograph(channels), SIDE * channels
    above = picture[-row:]
    stream = filtered(picture, bytes(row), channels)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    coded = compressor.compress(stream) + compressor.flush()
    decoder, generator = Decoder(stream, coded), np.random.default_rng(20_16)
    outputs = [decoder.decode(generator.integers(0, 2, 300, dtype=np.uint8))[: channels + 2] for _ in range(TRIALS)]
    outputs = [one for one in outputs if len(one) == channels + 2 and one[0] < 5]
    assert len(outputs) > TRIALS / 10
    rows = unfiltered(above, [one + bytes(1 + row - len(one)) for one in outputs], channels)
    prices = codes_alone(coded)
    first = expected(stream, prices, above, channels, b"")
    assert chi_square(np.bincount(rows[:, 0], minlength=256), first) > 1e-4
    common = np.argsort(-np.bincount(rows[:, 0], minlength=256))[:2]
    for symbol in common.tolist():
        after = rows[rows[:, 0] == symbol]
        for column in range(1, channels + 1):
            after = after[after[:, column - 1] == np.bincount(after[:, column - 1]).argmax()]
            if len(after) < 200:
                break
            counts = np.bincount(after[:, column], minlength=256)
            law = expected(stream, prices, above, channels, after[0, :column].tobytes())
            assert chi_square(counts, law) > 1e-4
            assert chi_square(counts, first) < 1e-6


def expected(stream: bytes, prices: Prices, above: bytes, pixel: int, written: bytes) -> np.ndarray:
    """(256,) probabilities after ``written``, with a boundary at the row's beginning."""
    around = np.zeros((2, pixel + len(above)), dtype=np.uint8)
    around[1, pixel:] = np.frombuffer(above, dtype=np.uint8)
    base = Pass(stream, prices, 300)
    row = OpenRow.after(base, base.frequencies(), None, around, pixel)
    row.read(np.frombuffer(written, dtype=np.uint8))
    probabilities: np.ndarray = row.frequencies / (1 << 24)
    return probabilities


@pytest.mark.parametrize("channels", [1, 3])
def test_it_expects_pictures_as_png_does_and_gzip_does_not(channels: int) -> None:
    picture, row = photograph(channels), SIDE * channels
    begin = 80 * row
    png = load(f"png:width={SIDE},channels={channels}")
    law, own = compgen.score(png, picture[begin:], picture[:begin]), COMPRESSORS.build(str(png))
    before, after = own.code_lengths(picture[:begin], [b"", picture[begin:]])
    assert law.derived_bpb < float(after - before) / len(picture[begin:])
    assert law.derived_bpb < compgen.score("gzip", picture[begin:], picture[:begin]).derived_bpb - 1


@pytest.mark.parametrize("spec", ["png:width=48", "png:width=20,channels=3,window=700", "png:width=700,bits=16"])
def test_files_by_its_law_come_back(spec: str) -> None:
    data = photograph(1)[:2500]
    blob = compgen.compress(data, f"{spec},rule=decoder")
    assert compgen.decompress(blob) == data


def test_frequencies_by_given_prices_are_what_they_were(form: str) -> None:
    """Files that follow a law decode only if its arithmetic never changes. No compressor gives these prices."""
    digest, picture = hashlib.sha256(), photograph(1)
    for row, pixel in ((12, 3), (30, 1), (1100, 2)):
        state = PngLaw(row, pixel, lambda stream: ALL).start(picture[:1390])
        for symbol in picture[1390:1450]:
            digest.update(state.frequencies().astype("<i8").tobytes())
            state.append(symbol)
    assert digest.hexdigest()[:16] == "7c7f900d72e6a3b9"

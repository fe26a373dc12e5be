"""Code lengths are exact: against other ways to know them, over arbitrary and real data."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compgen.compressors import COMPRESSORS, Compressor, base, brotli
from compgen.compressors.deflate import Deflate, Gzip, Zlib
from compgen.errors import UsageError
from tests.oracles import deflate_data_end

FAST = ["gzip", "zlib", "deflate", "bz2", "xz", "zstd", "zstd-dict", "brotli", "ppmd"]

# Bytes with something to find in them: runs, repeats, small alphabets, noise.
PIECES = st.one_of(
    st.binary(max_size=40),
    st.text(alphabet="abc ", max_size=60).map(str.encode),
    st.builds(lambda b, n: b * n, st.binary(min_size=1, max_size=6), st.integers(1, 60)),
)
DATA = st.lists(PIECES, max_size=6).map(b"".join)


def noise(seed: int, size: int, symbols: int = 256) -> bytes:
    generator = random.Random(seed)
    return bytes(generator.randrange(symbols) for _ in range(size))


@given(DATA, st.sampled_from([1, 4, 6, 9]))
def test_deflate_lengths_are_those_of_a_parsed_stream(data: bytes, level: int) -> None:
    raw = Deflate(level)
    assert raw.code_length(data) == deflate_data_end(raw.compress(data))
    assert Zlib(level).code_length(data) == raw.code_length(data) + 8 * 6
    assert Gzip(level).code_length(data) == raw.code_length(data) + 8 * 18


@given(DATA, st.lists(DATA, max_size=3), st.lists(st.binary(max_size=20), min_size=1, max_size=4))
@settings(max_examples=50)
@pytest.mark.parametrize("spec", FAST)
def test_a_meter_however_it_grew_agrees(spec: str, first: bytes, more: list[bytes], candidates: list[bytes]) -> None:
    compressor = COMPRESSORS.build(spec)
    meter = compressor.open(first)
    for data in more:
        forked = meter.fork()
        meter.extend(b"a wrong turn")
        meter = forked
        meter.extend(data)
    context = b"".join([first, *more])
    expected = compressor.code_lengths(context, candidates)
    assert np.array_equal(meter.code_lengths(candidates), expected)
    if not compressor.conditional:
        slow = 8 * np.array([len(compressor.compress(context + y)) for y in candidates])
        assert np.all(slow - expected >= 0)
        assert np.all(slow - expected < 8 + compressor.overhead)


def real_flush_end(level: int, context: bytes, continuation: bytes) -> int:
    """What a zlib encoder writes when it really is flushed after the context."""
    encoder = zlib.compressobj(level, zlib.DEFLATED, -15)
    parts = [encoder.compress(context), encoder.flush(zlib.Z_BLOCK), encoder.compress(continuation), encoder.flush()]
    return deflate_data_end(b"".join(parts))


@given(DATA, st.binary(min_size=1, max_size=30), DATA)
def test_flushed_lengths_are_those_of_an_encoder_flushed_there(first: bytes, continuation: bytes, more: bytes) -> None:
    meter = Deflate().open(first)
    flushed = meter.flushed()
    assert flushed.code_lengths([continuation])[0] == real_flush_end(9, first, continuation)
    assert flushed.code_lengths([b""])[0] == meter.code_lengths([b""])[0]
    meter.extend(more)
    assert meter.code_lengths([b""])[0] == Deflate().code_length(first + more)


def test_deflate_is_exact_where_a_symbol_fills_a_block() -> None:
    """zlib closes a block at 16,383 symbols; a stream that ends just there carries 10 bits more."""
    literals = noise(5, 17_000, 255)
    raw = Deflate()
    spare = {}
    for size in range(16_370, 16_470):
        spare[size] = 8 * len(raw.compress(literals[:size])) - raw.code_length(literals[:size])
    assert all(0 <= bits < 18 for bits in spare.values())
    context = literals[:16_369]
    meter = raw.open(context)
    assert list(meter.code_lengths([literals[16_369:size] for size in range(16_370, 16_470)])) == [
        raw.code_length(literals[:size]) for size in range(16_370, 16_470)
    ]


def test_deflate_counts_no_empty_final_block() -> None:
    """Seven-bit noise makes no stored blocks, so the stream that ends on a full block can be seen."""
    data = noise(1, 16_700, 128)
    raw = Deflate(1)
    bits = [(size, raw.code_length(data[:size]), raw.compress(data[:size])) for size in range(16_383, 16_700)]
    crossings = [(size, length, blob) for size, length, blob in bits if 8 * len(blob) - length >= 8]
    assert crossings, "no size in this range ends on a full block; widen the range"
    for _, length, blob in crossings:
        assert deflate_data_end(blob) == length
        assert 10 <= 8 * len(blob) - length < 18


@pytest.mark.parametrize(
    ("spec", "size", "symbols"),
    [
        ("deflate", 70_000, 256),  # stored blocks; past the window of 32 KB
        ("gzip", 70_000, 4),  # long blocks of short codes; past the window
        ("zlib:level=1", 40_000, 256),
        ("bz2:level=1", 101_000, 3),  # past a block of 100,000
        ("xz", 5_000, 256),  # past the smallest dictionary
        ("zstd", 140_000, 5),  # past a block of 128 KB
        ("brotli", 1_100, 4),  # past the smallest window
        ("zstd-dict", 140_000, 5),
        ("ppmd:memory=1", 140_000, 200),  # past its memory: the model starts again
    ],
)
def test_lengths_agree_past_windows_and_blocks(spec: str, size: int, symbols: int) -> None:
    compressor = COMPRESSORS.build(spec)
    data = noise(size, size, symbols)
    meter = compressor.open(data[: size // 2])
    for start in range(size // 2, size, size // 7):
        meter.extend(data[start : start + size // 7])
    candidates = [b"", b"\x01", data[100:140], noise(9, 30)]
    expected = compressor.code_lengths(data, candidates)
    assert np.array_equal(meter.code_lengths(candidates), expected)
    if not compressor.conditional:
        for candidate, length in zip(candidates, expected, strict=True):
            assert 0 <= 8 * len(compressor.compress(data + candidate)) - length < 8 + compressor.overhead


@pytest.mark.parametrize("spec", FAST)
@pytest.mark.parametrize("name", ["canterbury/alice29.txt", "canterbury/kennedy.xls", "canterbury/sum", "calgary/pic"])
def test_lengths_agree_on_real_files(spec: str, name: str, data_root: Path) -> None:
    compressor = COMPRESSORS.build(spec)
    data = (data_root / "corpora" / name).read_bytes()[:40_000]
    meter = compressor.open(data[:12_000])
    for start, end in ((12_000, 12_001), (12_001, 20_000), (20_000, 37_000)):
        meter.extend(data[start:end])
    candidates = [b"", *(bytes([b]) for b in range(0, 256, 37)), data[37_000:37_010], data[37_000:]]
    assert np.array_equal(meter.code_lengths(candidates), compressor.code_lengths(data[:37_000], candidates))
    if not compressor.conditional:
        assert 0 <= 8 * len(compressor.compress(data)) - compressor.code_length(data) < 8 + compressor.overhead


@given(st.binary(max_size=300))
def test_bz2_shows_its_padding(data: bytes) -> None:
    bz2 = COMPRESSORS.build("bz2")
    blob = bz2.compress(data)
    padding = 8 * len(blob) - bz2.code_length(data)
    assert 0 <= padding < 8
    assert blob[-1] & ((1 << int(padding)) - 1) == 0


@pytest.mark.parametrize("count", ["0", "-1", "²", "1.5"])
def test_only_a_number_is_a_number_of_threads(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPGEN_THREADS", count)
    with pytest.raises(UsageError, match="positive whole number"):
        base.threads()


@pytest.mark.parametrize("spec", ["gzip", "xz", "ppmd"])
def test_threads_change_nothing(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compressor: Compressor = COMPRESSORS.build(spec)
    context = noise(3, 6000, 7)
    candidates = [bytes([b]) for b in range(256)]
    results = []
    for count in ("1", "2", "3"):
        monkeypatch.setenv("COMPGEN_THREADS", count)
        assert base.threads() == int(count)
        results.append(compressor.open(context).code_lengths(candidates))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_a_wrong_number_of_threads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPGEN_THREADS", "two")
    with pytest.raises(UsageError, match="COMPGEN_THREADS must be a positive whole number, not 'two'"):
        base.threads()


def test_zstd_dict_prices_the_continuation_alone() -> None:
    zstd_dict = COMPRESSORS.build("zstd-dict")
    context = noise(1, 5000)
    inside, outside = zstd_dict.code_lengths(context, [context[1000:1100], noise(2, 100)])
    assert inside < 8 * 20
    assert outside > 8 * 100
    singles = zstd_dict.code_lengths(context, [bytes([b]) for b in range(256)])
    assert len(set(singles)) == 1, "one byte ahead it is blind, as its page says"


def test_the_dictionary_of_brotli_is_that_of_the_format() -> None:
    """RFC 7932, appendix A, gives its CRC-32; words lie in it by length, and ours shortest last, blanks between."""
    text = brotli.Brotli().static_dictionary()
    words, end = [], len(text)
    for length, bits in brotli._WORD_BITS.items():
        for _ in range(1 << bits):
            assert text[end - 1 : end] == b" "
            words.append(text[end - 1 - length : end - 1])
            end -= length + 1
    assert end == 0
    assert zlib.crc32(b"".join(words)) == 0x5136CB04
    assert brotli.Brotli(quality=3).static_dictionary() == b"", "which encodes as if there were none"

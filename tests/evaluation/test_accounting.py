from __future__ import annotations

import gzip
import io
import lzma
import math
from typing import Any

import numpy as np
import pytest

from compgen.compressors import COMPRESSORS
from compgen.evaluation.accounting import Rates, break_even, near_square, published, seven_bits


def test_seven_bits_are_the_papers() -> None:
    data = bytes(range(256))
    assert seven_bits(data, "shift") == (bytes(value // 2 for value in range(256)), 256)
    assert seven_bits(data, "clear") == (bytes(value % 128 for value in range(256)), 128)


def test_its_code_reads_patches_as_the_picture_nearest_to_a_square() -> None:
    assert near_square(2048) == 32
    assert near_square(1) == 1
    assert near_square(7919) == 1
    for size in range(1, 300):
        widths = [a for a in range(1, size + 1) if size % a == 0 and a <= size // a]
        assert near_square(size) == max(widths)


def test_what_its_code_runs() -> None:
    data = b"she sells sea shells " * 20
    assert published(COMPRESSORS.build("gzip"))(data) == gzip.compress(data, 9, mtime=0)
    assert published(COMPRESSORS.build("xz"))(data) == lzma.compress(data)
    assert published(COMPRESSORS.build("bz2"))(data) == COMPRESSORS.build("bz2").compress(data)


def test_its_png_is_pillows_but_for_the_filters() -> None:
    """Pillow and compgen both write a picture 32 wide; their filters and zlib strategies differ a little."""
    image = pytest.importorskip("PIL.Image")
    y, x = np.mgrid[:32, :64]
    patch = (
        (100 + 50 * np.sin(x / 9) + 3 * y + np.random.default_rng(1).normal(0, 2, x.shape)).astype(np.uint8).tobytes()
    )
    ours = published(COMPRESSORS.build("png:width=64"))(patch)
    assert image.open(io.BytesIO(ours)).size == (32, 64)
    out = io.BytesIO()
    image.frombytes("L", (32, 64), patch).save(out, format="PNG", optimize=True)
    assert len(ours) == pytest.approx(len(out.getvalue()), rel=0.03)
    assert len(ours) > len(COMPRESSORS.build("png:width=64").compress(patch))


def test_rates_are_sums_over_shards() -> None:
    records: list[dict[str, Any]] = [
        {"chunks": 2, "raw": 100, "written": 60, "published": 70, "seven": 50, "lost": 100, "header": 21, "decoded": 1},
        {"chunks": 3, "raw": 200, "written": 90, "published": 95, "seven": 80, "lost": 200, "header": 21, "decoded": 0},
        {"counted_chunks": 5, "counted": 300, "squares": 5500.0},
    ]
    found = Rates.total(records)
    assert (found.chunks, found.raw, found.written, found.header, found.decoded) == (5, 300, 150, 21, 1)
    assert found.honest == 150 / 300
    assert found.paper_code == (165 - 4 * 21) / 300
    assert found.paper_seven == pytest.approx((130 * 8 / 7 - 4 * 21) / 300)
    assert found.paper_error == pytest.approx(math.sqrt((1100 - 33**2) / 4) / 60)


def test_what_a_model_needs_once_counts_once_for_all_shards() -> None:
    record = {"chunks": 1, "raw": 100, "written": 60, "bits": 400.0, "parameters": 7, "shipped": 9}
    found = Rates.total([record | {"once": 40}, record | {"once": 50}])
    assert (found.once, found.parameters, found.shipped) == (50, 7, 9)
    assert (found.raw, found.written, found.bits) == (200, 120, 800.0)
    assert found.honest == (120 + 50) / 200


def test_a_model_pays_for_its_frame_and_its_weights() -> None:
    found = Rates(
        chunks=1, raw=1000, written=200, bits=1400.0, once=50, parameters=10_000, shipped=9_000, seven=175, lost=1000,
        counted_chunks=1, counted=1000, dropped=125,
    )  # fmt: skip
    assert found.honest == 0.25
    assert found.ideal == 0.175
    assert found.paper_code == found.paper_seven == pytest.approx(0.2)
    assert found.paper_error is None
    assert found.kept == pytest.approx(0.3)
    assert found.adjusted(0.25, 10**6) == pytest.approx(0.25 + 0.02)
    assert found.adjusted(0.25, 10**6, shipped=True) == pytest.approx(0.25 + 0.009)


def test_break_even_is_where_both_write_as_much() -> None:
    size = break_even(1000, 0.2, 0.3)
    assert 1000 + 0.2 * size == pytest.approx(0.3 * size)
    assert math.isinf(break_even(1000, 0.3, 0.3))

from __future__ import annotations

import math
import time

import numpy as np
import pytest

import compgen
from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError
from compgen.models import load

CONTEXT = b"row, row, row your boat, gently down the stream; "
DATA = b"merrily, merrily, row your boat"


def test_a_score_is_the_chain_of_the_model() -> None:
    result = compgen.score("gzip", DATA, CONTEXT, rule="one-step")
    model = load("gzip", rule="one-step")
    expected = []
    for position, symbol in enumerate(DATA):
        frequencies = model.start([CONTEXT + DATA[:position]]).frequencies()[0]
        expected.append(24 - math.log2(frequencies[symbol]))
    assert np.allclose(result.surprisals, expected)
    assert result.derived_bpb == pytest.approx(np.mean(expected))
    assert (result.data, result.context_bytes, str(result.model)) == (DATA, len(CONTEXT), "gzip:rule=one-step")


def test_one_step_rate_is_the_difference_of_lengths_and_the_waste() -> None:
    """Mean surprisal = mean added length + mean code waste, but for the frequency that every byte has at least."""
    result = compgen.score("gzip", DATA, CONTEXT, rule="one-step")
    gzip = COMPRESSORS.build("gzip")
    steps = [gzip.code_length(CONTEXT + DATA[:n]) for n in range(len(DATA) + 1)]
    assert result.derived_bpb == pytest.approx((steps[-1] - steps[0]) / len(DATA) + result.code_waste, abs=0.01)


@pytest.mark.parametrize("spec", ["gzip", "bz2", "xz", "zstd", "brotli"])
def test_own_rate_is_what_compress_spends(spec: str) -> None:
    result = compgen.score(spec, DATA, CONTEXT)
    compressor = COMPRESSORS.build(spec)
    spent = compressor.code_length(CONTEXT + DATA) - compressor.code_length(CONTEXT)
    assert result.own_bpb == pytest.approx(spent / len(DATA))


def test_own_rate_of_zstd_dict_is_its_frame_over_an_empty_one() -> None:
    compressor = COMPRESSORS.build("zstd-dict")
    empty, whole = compressor.code_lengths(CONTEXT, [b"", DATA])
    assert compgen.score("zstd-dict", DATA, CONTEXT).own_bpb == pytest.approx((whole - empty) / len(DATA))


def test_own_rate_knows_the_models_window_and_no_more() -> None:
    far = DATA + bytes(range(256)) * 2
    compressor = COMPRESSORS.build("xz")
    visible = far[-(16 + len(far) % 16) :]
    assert len(visible) == 31
    spent, window = 0.0, visible
    for segment in (DATA[:1], DATA[1:17], DATA[17:]):  # the window starts again when it holds 32 bytes
        spent += compressor.code_length(window + segment) - compressor.code_length(window)
        window = (window + segment)[-16:]
    assert compgen.score("xz:window=16", DATA, far).own_bpb == pytest.approx(spent / len(DATA))


def test_own_rate_does_not_copy_from_before_the_window() -> None:
    """A context that begins with the data makes it cheap for gzip, which reads 32 KB back; the window is 32 bytes."""
    data = np.random.default_rng(5).bytes(640)
    far = data + bytes(32)
    gzip = COMPRESSORS.build("gzip")
    spent, window = 0.0, far[-32:]
    for begin in range(0, 640, 32):  # a window of 64 bytes is full, and restarts with its last 32
        segment = data[begin : begin + 32]
        spent += gzip.code_length(window + segment) - gzip.code_length(window)
        window = segment
    assert spent > 2 * (gzip.code_length(far + data) - gzip.code_length(far))
    assert compgen.score("gzip:window=32", data, far).own_bpb == pytest.approx(spent / len(data))


def test_a_model_that_is_no_compressors_has_no_rate_of_its_own() -> None:
    result = compgen.score("uniform", DATA)
    assert (result.derived_bpb, result.own_bpb, result.code_waste) == (8.0, None, 0.0)


def test_progress_and_page() -> None:
    seen: list[int] = []
    since = time.perf_counter()
    result = compgen.score("backoff", "<b>" * 300, watch=seen.append)
    assert 0 < result.seconds < time.perf_counter() - since, "it had once taken a position for the time"
    assert seen == sorted(seen)
    assert seen[-1] == 900
    assert "&lt;" in result._repr_html_()
    assert result.bytes_per_second > 0


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(UsageError, match="nothing to score"):
        compgen.score("gzip", b"")

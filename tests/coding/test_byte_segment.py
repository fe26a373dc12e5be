"""Code one segment byte by byte: every number of lanes, the states afterwards, the rate, and damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compgen
from compgen.coding import byte_segment
from compgen.errors import CorruptDataError
from compgen.models import load


@given(st.binary(max_size=200).filter(bool), st.integers(1, 9))
@settings(max_examples=60)
def test_every_number_of_lanes_round_trips(data: bytes, lanes: int) -> None:
    model = load("backoff:order=1")
    code = byte_segment.encode(model.start([b""] * lanes), data)
    assert byte_segment.decode(model.start([b""] * lanes), code, len(data)) == data


def test_encoder_and_decoder_leave_equal_states(prose: bytes) -> None:
    model = load("backoff")
    encoder, decoder = model.start([b""] * 3), model.start([b""] * 3)
    byte_segment.decode(decoder, byte_segment.encode(encoder, prose[:1000]), 1000)
    assert np.array_equal(encoder.frequencies(), decoder.frequencies())


def test_progress_counts_the_bytes_of_all_lanes(prose: bytes) -> None:
    model, data = load("backoff:order=0"), prose[:400]
    coded: list[int] = []
    decoded: list[int] = []
    code = byte_segment.encode(model.start([b""] * 3), data, coded.append)
    byte_segment.decode(model.start([b""] * 3), code, len(data), decoded.append)
    assert coded == [192, 384, 400], "after each 64 steps"
    assert decoded == [*range(3, 400, 3), 400]


@pytest.mark.parametrize("spec", ["backoff", "gzip:rule=calibrated", "gzip:rule=decoder"])
def test_the_rate_is_what_score_reports(spec: str, prose: bytes) -> None:
    data = prose[:3000]
    code = byte_segment.encode(load(spec).start([b""]), data)
    bits = compgen.score(spec, data).surprisals.sum()
    assert bits <= 8 * len(code) <= bits * 1.0005 + 64


def test_what_does_not_fit_its_code_is_refused(prose: bytes) -> None:
    model = load("backoff")
    data = prose[:500]
    code = byte_segment.encode(model.start([b""]), data)
    for wrong, length in ((code, 499), (code, 501), (code[:-4], 500), (code + bytes(4), 500)):
        with pytest.raises(CorruptDataError):
            byte_segment.decode(model.start([b""]), wrong, length)
    with pytest.raises(CorruptDataError):
        byte_segment.decode(load("backoff:order=3").start([b""]), code, 500)

"""A model as a compressor, and the model that is derived from that compressor."""

from __future__ import annotations

import io

import numpy as np
import pytest

import compgen
from compgen.coding.model_compressor import ModelCompressor
from compgen.compressors import COMPRESSORS
from compgen.errors import CorruptDataError
from compgen.models import CodeLengthModel, load
from compgen.testing import check_compressor


@pytest.mark.parametrize(
    "spec",
    [
        "backoff",
        "uniform",
        "gzip:rule=calibrated",
        "gzip:rule=one-step",
        "gzip:rule=decoder",
        "backoff:order=1+uniform",
    ],
)
def test_the_one_step_rule_over_it_gives_the_model_back(spec: str, prose: bytes) -> None:
    model = load(spec)
    closed = CodeLengthModel(ModelCompressor(model), rule="one-step")
    for context in (b"", prose[:300]):
        state = model.start([b""])
        for symbol in np.frombuffer(context, dtype=np.uint8):
            state.extend(symbol.reshape(1))
        ours, theirs = closed.start([context]).frequencies(), state.frequencies()
        # Code lengths are rounded to 2**-12 bits before they become weights, and shares to one count.
        assert np.abs(ours - theirs).max() <= (1 << 24) * 2**-12
        assert (np.abs(ours - theirs) <= 2 + theirs * 2**-11).all()


def test_it_conforms_for_models_that_learn() -> None:
    check_compressor(ModelCompressor(load("backoff:order=1+uniform")))


def test_its_code_is_as_long_as_it_says(prose: bytes) -> None:
    coder = COMPRESSORS.build('model:"backoff:order=3"')
    assert coder == ModelCompressor(load("backoff:order=3"))
    blob = coder.compress(prose[:3000])
    assert coder.code_length(prose[:3000]) <= 8 * len(blob) < coder.code_length(prose[:3000]) * 1.0005 + 8 * 16
    assert coder.decompress(blob) == prose[:3000]
    for wrong in (blob[:-1], blob[:5], blob + b"x", b"\xff" * 8 + blob[8:], b"\0" * 8 + blob[8:]):
        with pytest.raises(CorruptDataError):
            coder.decompress(wrong)


def test_a_distance_by_a_model(prose: bytes) -> None:
    near = compgen.ncd(prose[:800], prose[:800], 'model:"backoff:order=4"')
    far = compgen.ncd(prose[:800], bytes(range(256)) * 3, 'model:"backoff:order=4"')
    assert near < far


def test_long_data_goes_in_pieces(monkeypatch: pytest.MonkeyPatch, prose: bytes) -> None:
    monkeypatch.setattr("compgen.coding.model_compressor.SEGMENT", 100)
    coder = ModelCompressor(load("backoff"))
    blob = coder.compress(prose[:950])
    assert io.BytesIO(blob).read(4) == (100).to_bytes(4, "little")
    assert coder.decompress(blob) == prose[:950]

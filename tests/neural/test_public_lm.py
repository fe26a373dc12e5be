"""A real public language model: COMPGEN_LM names its folder. Tiny models of random weights test the rest."""

from __future__ import annotations

import os

import numpy as np
import pytest

import compgen
from compgen.models import load
from compgen.models.language import TokenModel

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def public() -> str:
    if "COMPGEN_LM" not in os.environ:
        pytest.skip("COMPGEN_LM is not set; it names the folder of a public language model")
    return f"llm:{os.environ['COMPGEN_LM']}"


def test_a_short_text_takes_its_tokens_cost_and_under_30_bytes(public: str, prose: bytes) -> None:
    data = prose[:500]
    model = load(public)
    assert isinstance(model, TokenModel)
    state, bits = model.start_tokens(1), 0.0
    for token in model.encode(data) or []:
        bits += state.precision - np.log2(state.append(np.array([token]))[1][0])
    blob = compgen.compress(data, model, verify=False)
    assert blob[5:6] == b"t"
    assert len(blob) - bits / 8 < 30
    assert compgen.decompress(blob, model) == data


@pytest.mark.parametrize(
    "odd", [b"\xff", "\u2581".encode(), b"   ", "灯台".encode()[:4], b"<bos><eos><start_of_turn>", b"\0\x01\x80"]
)
def test_what_is_odd_costs_a_few_tokens(public: str, odd: bytes, prose: bytes) -> None:
    model = load(public)
    assert isinstance(model, TokenModel)
    state = model.start_tokens(1)
    text = (prose * 40)[:100_000]
    plain, found = model.encode(text), model.encode(text[:50_000] + odd + text[50_000:])
    assert plain is not None
    assert found is not None
    assert state.spell(np.array(found)) == state.lead + text[:50_000] + odd + text[50_000:]
    assert len(found) <= len(plain) + 30
    data = prose[:40] + odd + prose[40:60]
    assert compgen.decompress(compgen.compress(data, model, verify=False), model) == data


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_is_taken_in_other_types(public: str, dtype: str, prose: bytes) -> None:
    spec = f"{public},dtype={dtype}"
    assert compgen.decompress(compgen.compress(prose[:100], spec, verify=False), spec) == prose[:100]

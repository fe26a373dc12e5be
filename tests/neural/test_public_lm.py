"""A real public model, if its folder is in ``COMPGEN_LM`` (CONTRIBUTING.md)."""

from __future__ import annotations

import os

import numpy as np
import pytest

import compgen

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from compgen.coding import explain  # noqa: E402
from compgen.errors import IncompatibleError  # noqa: E402
from compgen.models import load  # noqa: E402
from compgen.models.base import PRECISION, State  # noqa: E402
from compgen.models.language import TokenModel  # noqa: E402
from compgen.neural.llm import TokenLLM  # noqa: E402
from tests.neural import tiny  # noqa: E402


@pytest.fixture(scope="module")
def public() -> str:
    if "COMPGEN_LM" not in os.environ:
        pytest.skip("COMPGEN_LM is not set; CONTRIBUTING.md says which folder it names")
    return f"llm:{os.environ['COMPGEN_LM']}"


@pytest.fixture(scope="module")
def model(public: str) -> TokenLLM:
    model = load(public)
    assert isinstance(model, TokenLLM)
    return model


def test_known_text_costs_what_plain_transformers_say_or_less(model: TokenLLM) -> None:
    engine, tokens = model.engine
    data = tiny.PROSE.read_bytes()[:700]
    path = [*([] if tokens.start_token is None else [tokens.start_token]), *tokens.encode(tokens.lead + data)]
    with torch.no_grad(), engine.plain_attention():
        chances = torch.log_softmax(engine.model(torch.tensor([path])).logits[0, :-1].double(), dim=1)
    plain = -float(chances.gather(1, torch.tensor(path[1:])[:, None]).sum()) / np.log(2)
    symbols = np.frombuffer(data, dtype=np.uint8)[:, None]
    bits = float((PRECISION - np.log2(model.start([b""]).measure(symbols))).sum())
    assert 0.9 * plain < bits < plain + 0.001 * len(data)


def test_read_in_batches_it_is_what_it_is_byte_by_byte(model: TokenLLM) -> None:
    data = tiny.PROSE.read_bytes()[:40]
    symbols = np.frombuffer(data, dtype=np.uint8)[:, None]
    expected = State.read(model.start([b""]), symbols)
    np.testing.assert_allclose(model.start([b""]).read(symbols), expected, rtol=1e-3, atol=5)
    steps = explain.explain(model, data).steps
    np.testing.assert_allclose([step.frequencies for step in steps], expected[:, 0], rtol=1e-3, atol=5)


def test_its_context_is_longer_than_its_sliding_window(model: TokenLLM) -> None:
    engine, tokens = model.engine
    if not engine.sliding_window:
        pytest.skip("this model has no sliding window")
    count = engine.sliding_window + 40
    path = ([tokens.start_token] if tokens.start_token is not None else []) + tokens.encode(tiny.PROSE.read_bytes())
    path = path[:count]
    with torch.no_grad(), engine.plain_attention():
        plain = engine.model(torch.tensor([path])).logits[0, -1]
    cache = engine.prefill([path[:-1]])
    cache.reserve(count + 1)
    here = np.array([[count]])
    mask = np.zeros((1, 1, cache.slots), dtype=np.bool_)
    mask[0, 0, 1 : count + 1] = True
    found = engine.forward(cache, np.array([path[-1:]]), here - 1, here, mask)[0, 0]
    assert float((found - plain).abs().max()) < 1e-3 * (1 + float(plain.abs().max()))


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
    """Unless it overflows: Gemma 3 does in float16, in transformers as well."""
    spec = f"{public},dtype={dtype}"
    try:
        blob = compgen.compress(prose[:100], spec, verify=False)
    except IncompatibleError as error:
        assert dtype == "float16"
        assert "overflows in float16" in str(error)  # noqa: PT017
    else:
        assert compgen.decompress(blob, spec) == prose[:100]

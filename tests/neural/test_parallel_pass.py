"""A parallel pass over known texts costs what plain transformers say of the same tokens, in batches and stretches."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from compgen.errors import UsageError  # noqa: E402
from compgen.models import load  # noqa: E402
from compgen.neural.llm import TokenLLM  # noqa: E402
from compgen.neural.tokens import parallel_pass  # noqa: E402
from tests.neural import tiny  # noqa: E402

TEXTS = [
    b"The lighthouse keeper's lamp, and the sea.",
    b"",
    b"a" * 700,  # more tokens than the models have positions
    tiny.PROSE.read_bytes()[:1200],
    "caf\u00e9 \u0001\u007f".encode(),
    bytes([65, 0xE4, 65, 0xC3]),  # no text: it has a canonical encoding all the same
]


@pytest.fixture(scope="module", params=tiny.KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TokenLLM:
    built = load(f"llm:{tiny.make(request.param, tmp_path_factory.mktemp(request.param))}")
    assert isinstance(built, TokenLLM)
    return built


def expected(model: TokenLLM, tokens: list[int]) -> list[float]:
    """-log2 p of each token, each by a forward over the tokens before it that the pass may see."""
    engine, tokeniser = model.engine
    start = [] if tokeniser.start_token is None else [tokeniser.start_token]
    most = engine.model.config.max_position_embeddings - 1
    found, begin = [], 0
    for place, token in enumerate(tokens):
        if place - begin == most:  # a stretch ends, and the next one begins with half of it
            begin = place - most // 2
        row = start + tokens[begin:place]
        if not row:
            found.append(np.log2(engine.vocab_size))
            continue
        with torch.no_grad():
            logits = engine.model(input_ids=torch.tensor([row])).logits[0, -1]
        found.append(-logits.log_softmax(-1)[token].item() / np.log(2))
    return found


def test_a_pass_costs_what_the_model_says(model: TokenLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, tokeniser = model.engine
    monkeypatch.setattr(parallel_pass, "_ROWS", 3)
    monkeypatch.setattr(parallel_pass, "_LOGITS", 200 * engine.vocab_size)
    found = model.token_bits(TEXTS)
    assert len(found) == len(TEXTS)
    for text, (ends, bits) in zip(TEXTS, found, strict=True):
        tokens = tokeniser.encode_text(text)
        assert len(tokens) == len(ends) == len(bits)
        sizes = [len(tokeniser.spell(tokens[: i + 1])) - len(tokeniser.lead) for i in range(len(tokens))]
        assert ends.tolist() == [max(size, 0) for size in sizes]
        sample = [*range(min(len(tokens), 40)), *range(max(len(tokens) - 20, 40), len(tokens))]
        wanted = expected(model, tokens)
        assert [bits[i] for i in sample] == pytest.approx([wanted[i] for i in sample], abs=2e-3)
        assert bits.sum() == pytest.approx(sum(wanted), abs=0.05)


def test_a_byte_that_no_token_spells_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(f"llm:{tiny.make('gpt2', tmp_path)}")
    assert isinstance(model, TokenLLM)
    monkeypatch.setattr(model.engine[1], "missing", frozenset({0xF8}))
    with pytest.raises(UsageError, match="no token for the byte 0xF8"):
        model.token_bits([b"\xf8"])


def test_a_public_model_is_counted_as_its_coder_counts() -> None:
    """``COMPGEN_LM`` names a folder of a public model. Its coder steps from token to token, and agrees to rounding."""
    if "COMPGEN_LM" not in os.environ:
        pytest.skip("COMPGEN_LM is not set: the folder of a public language model")
    model = load(f"llm:{os.environ['COMPGEN_LM']}")
    assert isinstance(model, TokenLLM)
    text = tiny.PROSE.read_bytes()[:300]
    ((ends, bits),) = model.token_bits([text])
    assert ends[-1] == len(text)
    tokens, state = model.encode(text), model.start_tokens(1)
    assert tokens is not None
    widths = [state.append(np.array([token]))[1][0] for token in tokens]
    assert bits.sum() == pytest.approx(sum(state.precision - np.log2(width) for width in widths), rel=0.01)
    assert bits.sum() < 1.5 * len(text)

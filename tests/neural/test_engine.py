"""The engine over trees of tokens, checked against the model's plain pass over each branch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

from transformers.integrations.sdpa_attention import sdpa_attention_forward  # noqa: E402

from compgen.errors import CompgenError, IncompatibleError, OutOfMemoryError, UsageError  # noqa: E402
from compgen.models.base import State  # noqa: E402
from compgen.neural.tokens import loading  # noqa: E402
from compgen.neural.tokens.attention import GROUPED, grouped_query_attention  # noqa: E402
from compgen.neural.tokens.byte_state import TokenisedState  # noqa: E402
from compgen.neural.tokens.engine import DTYPES, CausalLM  # noqa: E402
from compgen.neural.tokens.loading import load_pair  # noqa: E402
from compgen.neural.tokens.token_state import TokenCoderState  # noqa: E402
from compgen.neural.tokens.tokeniser import Tokeniser  # noqa: E402
from tests.neural import tiny  # noqa: E402


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    return CausalLM.load(str(tiny.make(request.param, tmp_path_factory.mktemp("model"))))


def plain(engine: CausalLM, text: list[int]) -> Any:
    with torch.no_grad():
        return engine.model(torch.tensor([text])).logits[0, -1]


def test_rows_at_different_places_with_branches_of_their_own_see_their_ancestors_alone(engine: CausalLM) -> None:
    rng = np.random.default_rng(5)
    rows, steps = 3, 14
    cache = engine.new_cache(rows)
    texts: list[dict[int, list[int]]] = [{} for _ in range(rows)]  # each slot's token and its ancestors
    seen: list[dict[int, list[int]]] = [{} for _ in range(rows)]  # the slots of that text
    for step in range(steps):
        cache.reserve(70 if step == 7 else 1)  # growing keeps what is there
        width = 1 + step % 2
        tokens = rng.integers(0, 400, (rows, width))
        positions, slots = np.zeros_like(tokens), np.zeros_like(tokens)
        mask = np.zeros((rows, width, cache.slots), dtype=np.bool_)
        for row in range(rows):
            parents = rng.choice([0, *texts[row]], width)
            fresh = [s for s in rng.permutation(np.arange(1, cache.slots)).tolist() if s not in texts[row]]
            for t in range(width):
                parent, slot = int(parents[t]), fresh[t]
                path, before = texts[row].get(parent, []), seen[row].get(parent, [])
                texts[row][slot], seen[row][slot] = [*path, int(tokens[row, t])], [*before, slot]
                positions[row, t], slots[row, t] = len(path), slot
                mask[row, t, seen[row][slot]] = True
        logits = engine.forward(cache, tokens, positions, slots, mask)
        for row in range(rows):
            for t in range(width):
                expected = plain(engine, texts[row][int(slots[row, t])])
                torch.testing.assert_close(logits[row, t], expected, rtol=1e-4, atol=1e-4)
        if step == 10:
            order = np.array([2, 0, 2])
            other = cache.fork(order)
            cache, texts, seen = other, [dict(texts[r]) for r in order], [dict(seen[r]) for r in order]


@pytest.mark.parametrize("build", [tiny.gemma3, tiny.mistral], ids=["gemma3", "mistral"])
def test_layers_with_a_sliding_window_see_its_tokens_and_other_layers_see_all(build: Any, tmp_path: Path) -> None:
    """A cache has 64 slots at first, and these windows 8 tokens: whatever is read goes far beyond."""
    tokenizer = tiny.like_gemma()
    engine = CausalLM.load(str(tiny.save(tmp_path / "m", build(len(tokenizer)), tokenizer)))
    assert engine.sliding_window == 8
    assert engine.max_positions == 400
    tokens = Tokeniser.load(str(tmp_path / "m"))
    data = tiny.PROSE.read_bytes()[:300]
    path = tokens.encode(data)
    assert len(path) > 64
    begin = [] if tokens.start_token is None else [tokens.start_token]
    with torch.no_grad(), engine.plain_attention():
        logits = engine.model(torch.tensor([begin + path])).logits[0].double()
    chances = torch.softmax(logits[:, np.sort(tokens.ids)], dim=1).numpy()

    coder = TokenCoderState.start(engine, tokens, [b""])
    for place, token in enumerate(path[:80]):
        expected = chances[place + len(begin) - 1, np.searchsorted(np.sort(tokens.ids), token)]
        assert coder.append(np.array([token]))[1][0] == pytest.approx(expected * 2**30, rel=1e-3, abs=500)
    known = TokenCoderState.start(engine, tokens, [data])  # read at once, up to the last token
    found = np.diff(known._ends[0].numpy(), prepend=0)
    np.testing.assert_allclose(found, chances[-1] * 2**30, rtol=2e-3, atol=500)
    growing, reading = (TokenisedState.start(engine, tokens, [b""], beam=0) for _ in range(2))
    symbols = np.frombuffer(data[:240], dtype=np.uint8)[:, None]
    np.testing.assert_allclose(reading.read(symbols), State.read(growing, symbols), rtol=2e-3, atol=3)


def test_a_fork_and_its_origin_are_apart(engine: CausalLM) -> None:
    cache = engine.new_cache(1)
    sees = np.zeros((1, 1, cache.slots), dtype=np.bool_)
    sees[0, 0, 1] = True
    one, two = np.array([[1]]), np.array([[2]])
    engine.forward(cache, one * 5, one * 0, one, sees)
    fork = cache.fork(np.array([0]))
    engine.forward(fork, one * 9, one * 0, one, sees)
    sees[0, 0, 2] = True
    logits = engine.forward(cache, one * 7, one, two, sees)
    torch.testing.assert_close(logits[0, 0], plain(engine, [5, 7]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.3), ("float32", 1e-4)])
def test_dtypes(tmp_path: Path, dtype: str, tolerance: float) -> None:
    path = str(tiny.make("llama", tmp_path))
    engine = CausalLM.load(path, dtype=dtype)
    assert engine.model.dtype == getattr(torch, dtype)
    assert engine.model.config._attn_implementation == GROUPED
    sees = np.zeros((1, 1, 64), dtype=np.bool_)
    sees[0, 0, 1] = True
    got = engine.forward(engine.new_cache(1), np.array([[3]]), np.array([[0]]), np.array([[1]]), sees)[0, 0]
    assert got.dtype == torch.float32
    assert (got - plain(CausalLM.load(path), [3])).abs().max() < tolerance * (1 + got.abs().max())


@pytest.mark.parametrize("heads", [2, 6])
@pytest.mark.parametrize("count", [1, 3])
def test_heads_of_a_group_attend_as_heads_of_their_own(heads: int, count: int) -> None:
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, n, t, 8, generator=generator) for n, t in ((heads, count), (2, 9), (2, 9)))
    layer = torch.nn.Module()
    layer.num_key_value_groups = heads // 2
    hidden = torch.rand(2, 1, count, 9, generator=generator) < 0.3
    mask = torch.where(hidden, torch.finfo(torch.float32).min, 0.0)
    for masks in (mask, mask.repeat(1, heads, 1, 1), None):
        found, expected = (
            attend(layer, query, key, value, masks, scaling=0.3, dropout=0.0)[0]
            for attend in (grouped_query_attention, sdpa_attention_forward)
        )
        torch.testing.assert_close(found, expected)


@pytest.fixture
def checked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which models were found sound."""
    monkeypatch.setenv("COMPGEN_CACHE", str(tmp_path / "cache"))
    load_pair.cache_clear()


@pytest.mark.usefixtures("checked_anew")
def test_a_model_whose_attention_does_not_follow_masks_is_refused(tmp_path: Path) -> None:
    config = transformers.BloomConfig(vocab_size=400, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.5)
    tiny.save(tmp_path, transformers.BloomForCausalLM(config), tiny.byte_level())  # its bias follows the keys' order
    for dtype in DTYPES:
        with pytest.raises(IncompatibleError, match="does not follow attention masks"):
            load_pair(str(tmp_path), "cpu", dtype)


@pytest.mark.usefixtures("checked_anew")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["gpt2", "llama", "no-bos"])
def test_models_that_follow_masks_are_taken_in_every_type(kind: str, dtype: str, tmp_path: Path) -> None:
    load_pair(str(tiny.make(kind, tmp_path)), "cpu", dtype)


@pytest.mark.usefixtures("checked_anew")
def test_a_model_that_overflows_in_a_type_is_refused_in_that_type(tmp_path: Path) -> None:
    path = tiny.make("llama", tmp_path)
    tensors = safetensors.load_file(path / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.weight"] *= 1e6
    safetensors.save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    for dtype in ("float32", "bfloat16"):
        load_pair(str(path), "cpu", dtype)
    with pytest.raises(IncompatibleError, match="overflows in float16; use dtype=float32"):
        load_pair(str(path), "cpu", "float16")


@pytest.mark.usefixtures("checked_anew")
def test_a_mask_that_is_not_followed_is_noticed_in_every_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tiny.make("llama", tmp_path))
    forward = CausalLM.forward_tensors

    def sees_all(engine: CausalLM, cache: Any, tokens: Any, positions: Any, slots: Any, mask: Any, *rest: Any) -> Any:
        """A branch sees the other one as well."""
        return forward(engine, cache, tokens, positions, slots, mask | mask.any(dim=1, keepdim=True), *rest)

    monkeypatch.setattr(CausalLM, "forward_tensors", sees_all)
    for dtype in DTYPES:
        with pytest.raises(IncompatibleError, match="does not follow attention masks"):
            load_pair(path, "cpu", dtype)


@pytest.mark.usefixtures("checked_anew")
def test_masks_are_checked_once_for_each_type_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[str] = []
    monkeypatch.setattr(loading, "check_masks", lambda engine, tokeniser: checks.append(engine.dtype))
    path = tiny.make("llama", tmp_path / "model")
    for dtype in ("float32", "float32", "bfloat16"):
        load_pair.cache_clear()
        load_pair(str(path), "cpu", dtype)
    assert checks == ["float32", "bfloat16"]
    tensors = safetensors.load_file(path / "model.safetensors")
    tensors["model.norm.weight"] *= 2
    safetensors.save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    load_pair.cache_clear()
    load_pair(str(path), "cpu", "float32")
    assert checks == ["float32", "bfloat16", "float32"]


def test_what_cannot_be_loaded_is_said_in_a_line(tmp_path: Path) -> None:
    def refused(kind: type[CompgenError], match: str, path: Path = tmp_path, **options: str) -> None:
        with pytest.raises(kind, match=match) as caught:
            CausalLM.load(str(path), **options)
        assert "\n" not in str(caught.value)

    refused(UsageError, "dtype must be one of", dtype="int3")
    refused(UsageError, "no config.json")
    tiny.make("gpt2", tmp_path / "m")
    weights, config = tmp_path / "m/model.safetensors", tmp_path / "m/config.json"
    right = config.read_text()
    config.write_text(json.dumps(json.loads(right) | {"vocab_size": 300}))
    refused(UsageError, r"wte.weight has another shape than config.json says", tmp_path / "m")
    for change in ({"n_embd": "x"}, {"vocab_size": None}, {"n_head": 0}):
        config.write_text(json.dumps(json.loads(right) | change))
        refused(UsageError, "no language model at", tmp_path / "m")
    config.write_text(right)
    tensors = safetensors.load_file(weights)
    del tensors["transformer.h.1.ln_2.weight"]
    safetensors.save_file(tensors, weights, {"format": "pt"})
    refused(UsageError, r"lacks 1 weights of its model, such as transformer.h.1.ln_2.weight", tmp_path / "m")
    weights.write_bytes(weights.read_bytes()[:5000])
    refused(UsageError, "no language model at", tmp_path / "m")
    weights.unlink()
    refused(UsageError, r"no \*.safetensors weights", tmp_path / "m")
    torch.save({}, tmp_path / "m/pytorch_model.bin")
    refused(UsageError, r"no \*.safetensors weights", tmp_path / "m")
    mine = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    config.write_text(json.dumps(mine))
    (tmp_path / "m/mine.py").write_text("raise SystemExit('code of a model was run')")
    refused(IncompatibleError, "code of its own", tmp_path / "m")


def test_a_full_device_is_an_error_of_its_own(engine: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine.model, "forward", full)
    array = np.ones((4, 1), dtype=np.int64)
    with pytest.raises(OutOfMemoryError, match=r"4 rows do not fit .* fewer lanes"):
        engine.forward(engine.new_cache(4), array, array, array, np.ones((4, 1, 64), dtype=np.bool_))

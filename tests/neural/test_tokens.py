"""The law of bytes over a token model, checked against its definition by enumeration; and the coders that use it."""

from __future__ import annotations

import functools
import gc
import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from compgen.coding import byte_segment, token_segment  # noqa: E402
from compgen.errors import CorruptDataError, IncompatibleError, UsageError  # noqa: E402
from compgen.models.base import PRECISION, State  # noqa: E402
from compgen.models.window import Window  # noqa: E402
from compgen.neural.tokens.byte_state import TokenisedState  # noqa: E402
from compgen.neural.tokens.engine import CausalLM  # noqa: E402
from compgen.neural.tokens.token_state import TokenCoderState  # noqa: E402
from compgen.neural.tokens.tokeniser import PROBES, Tokeniser  # noqa: E402
from compgen.neural.tokens.tree import PieceWindow, TokenTree  # noqa: E402
from tests.neural import tiny  # noqa: E402

TEXTS = {
    "words": b"The lighthouse keeper's lamp, and the sea.",
    "white": b"a\n\nb  \n\n c\t\t  d \n",
    "characters": "x 中丮 é中 ".encode() + "中".encode()[:2],
    "bytes": bytes([255, 0, 128, 65, 0xE4, 65, 0xC3, 0xA9, 0xFF, 32, 255]),
}
Pair = tuple[CausalLM, Tokeniser]


@pytest.fixture(scope="module", params=tiny.KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    path = str(tiny.make(request.param, tmp_path_factory.mktemp("model")))
    return CausalLM.load(path), Tokeniser.load(path)


def extend(state: TokenisedState, data: bytes) -> None:
    for symbol in data:
        state.extend(np.full(state.rows, symbol, dtype=np.uint8))


class Definition:
    """The law of ``byte_state.py`` word by word, without a trie, a cache or a tree."""

    def __init__(self, pair: Pair) -> None:
        self.engine, self.tokens = pair
        self.spelled = {token: self.tokens.spell([token]) for token in self.tokens.ids.tolist()}
        self.next = functools.cache(self._next)

    def _next(self, path: tuple[int, ...]) -> dict[int, float]:
        """Return p(token | path) of the tokens that spell bytes or end a text."""
        known = [*self.spelled, *self.tokens.end_tokens]
        text = ([] if self.tokens.start_token is None else [self.tokens.start_token]) + list(path)
        if not text:
            return dict.fromkeys(self.spelled, 1 / len(self.spelled))
        with torch.no_grad():
            logits = self.engine.model(torch.tensor([text])).logits[0, -1].double()
        return dict(zip(known, torch.softmax(logits[known], 0).tolist(), strict=True))

    def chance(self, path: tuple[int, ...]) -> float:
        return float(np.prod([self.next(path[:i])[token] for i, token in enumerate(path)]))

    def sequences(self, x: bytes) -> Iterator[tuple[int, ...]]:
        """Yield N(x): beginnings of encodings of a beginning of x and a probe or nothing, as far as they spell x."""
        found: set[tuple[int, ...]] = {()}
        for end in range(len(x) + 1):
            longer = [x[:end] + probe for probe in (b"", *PROBES)]
            # If x[:end] cuts a character off, byte-level BPE may merge its bytes.
            ends = [tuple(self.tokens.encode(data)) for data in longer]
            cut = list(self.tokens.pieces(x[:end]))
            if cut:
                before = tuple(self.tokens.encode(b"".join(cut[:-1])))
                ends += [before + path for path in self.tokens.candidates(cut[-1])]
            for path in ends:
                found |= {path[:i] for i in range(len(path) + 1) if len(self.tokens.spell(path[:i])) <= end}
        yield from found

    def weights(self, x: bytes) -> tuple[list[float], float]:
        """Return W(x, 0) to W(x, 255), and E(x)."""
        masses, end = [0.0] * 256, 0.0
        for path in self.sequences(x):
            rest = x[len(self.tokens.spell(path)) :]
            chance, following = self.chance(path), self.next(path)
            for token, data in self.spelled.items():
                if len(data) > len(rest) and data.startswith(rest):
                    masses[data[len(rest)]] += chance * following[token]
            if not rest:
                end += chance * sum(following.get(token, 0) for token in self.tokens.end_tokens)
        return masses, end


@pytest.mark.parametrize("text", ["white", "characters", "words"])
def test_it_is_its_definition(pair: Pair, text: str) -> None:
    definition = Definition(pair)
    data = TEXTS[text][:14] if text == "words" else TEXTS[text][:12]
    state = TokenisedState.start(*pair, [b""])
    for here in range(len(data) + 1):
        masses, end = definition.weights(pair[1].lead + data[:here])
        expected = np.array([*masses, end])
        got = state.probabilities()[0]
        assert abs(got.sum() - 1) < 1e-9
        np.testing.assert_allclose(got, expected / expected.sum(), rtol=2e-4, atol=1e-9)
        assert state.end_of_text()[0] == got[256]
        if here < len(data):
            extend(state, data[here : here + 1])


def code_length(state: TokenisedState, data: bytes) -> float:
    """Return the bits that ``data`` and the end of the text cost, and extend ``state`` by ``data``."""
    bits = 0.0
    for symbol in data:
        chances = state.probabilities()[0]
        bits -= np.log2(max(chances[symbol], 2**-PRECISION))  # a beam may give a byte no mass
        extend(state, bytes([symbol]))
    return bits - float(np.log2(state.end_of_text()[0] or 1))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_costs_at_most_what_its_tokens_cost(pair: Pair, text: str) -> None:
    data, tokens = TEXTS[text], pair[1]
    path = tuple(tokens.encode(tokens.lead + data))
    definition = Definition(pair)
    # The lead is known, not coded, so the bits are those of a conditional probability.
    lead = sum(definition.weights(tokens.lead[:-1])[0][symbol] for symbol in tokens.lead)
    ends = sum(definition.next(path).get(token, 0.0) for token in tokens.end_tokens)
    chain = definition.chance(path) * (ends or 1) / (lead or 1)
    assert code_length(TokenisedState.start(*pair, [b""]), data) <= -np.log2(chain) + 1e-3


def test_without_merges_the_chain_over_bytes_is_the_chain_over_tokens() -> None:
    tokenizer = tiny.byte_level(257)
    torch.manual_seed(4)
    engine, tokens = CausalLM(tiny.gpt2(257).eval(), "cpu", "float32"), Tokeniser(tokenizer)
    data = TEXTS["words"] + TEXTS["bytes"]
    chain = Definition((engine, tokens)).chance(tuple(tokens.encode(data)))
    state = TokenisedState.start(engine, tokens, [b""])
    bits = code_length(state, data) + float(np.log2(state.end_of_text()[0]))
    assert bits == pytest.approx(-np.log2(chain), abs=1e-3)


@pytest.mark.parametrize("text", TEXTS)
def test_a_fresh_start_is_what_growing_gives(pair: Pair, text: str) -> None:
    data = (TEXTS[text] * 12)[:180]
    state = TokenisedState.start(*pair, [b""], window=25)  # it reopens several times
    for begin, end in itertools.pairwise(range(0, len(data) + 1, 9)):
        extend(state, data[begin:end])
        fresh = TokenisedState.start(*pair, [data[:end]], window=25)
        np.testing.assert_allclose(fresh.probabilities(), state.probabilities(), rtol=2e-3, atol=1e-7)
        assert (state.frequencies() >= 1).all()
        assert (state.frequencies().sum(axis=1) == 1 << PRECISION).all()


@pytest.mark.parametrize("text", TEXTS)
def test_a_full_window_reopens_on_the_last_pieces_of_n_tokens(pair: Pair, text: str) -> None:
    """Full means that the complete pieces have 2N tokens. A fresh start and a tree's row stand in the same window."""
    tokens, size = pair[1], 25
    data = TEXTS[text] * 20
    pieces = PieceWindow(tokens, Window(size), tokens.lead)
    tree = TokenTree(tokens, pieces.copy(), 0)
    for here, symbol in enumerate(data):
        replanted = tree.append(symbol)
        pieces.append(symbol)
        counts = [len(tokens.encode_piece(piece)) for piece in tokens.pieces(bytes(pieces.data))]
        assert sum(counts[:-2]) < 2 * size, "it was full before"
        assert replanted == (sum(counts[:-1]) >= 2 * size)
        if replanted:
            kept = max(k for k in range(len(counts)) if sum(counts[len(counts) - 1 - k : -1]) <= size)
            pieces = PieceWindow(tokens, Window(size), b"".join(list(tokens.pieces(bytes(pieces.data)))[-1 - kept :]))
            assert PieceWindow.after(tokens, Window(size), data[: here + 1]).data == pieces.data
        assert tree.pieces.data == pieces.data
    assert len(pieces.data) < len(data), "it was never full"


def test_rows_stand_apart_and_forks_do_not_alias(pair: Pair) -> None:
    prompts = [b"", b"The sea", TEXTS["bytes"], b"The sea", b"a" * 200]
    state = TokenisedState.start(*pair, prompts, window=25)
    before = state.probabilities().copy()
    fork = state.fork([3, 2, 3])
    np.testing.assert_array_equal(fork.probabilities(), before[[3, 2, 3]])
    for symbols in (b"ab\xe4", b"\xff\n "):
        fork.extend(np.frombuffer(symbols, dtype=np.uint8))
    np.testing.assert_array_equal(state.fork(range(5)).probabilities(), before)
    extend(state, b" and")
    for row, prompt in enumerate(prompts):
        alone = TokenisedState.start(*pair, [prompt + b" and"], window=25)
        np.testing.assert_allclose(alone.probabilities()[0], state.probabilities()[row], rtol=2e-3, atol=1e-7)
    for row, text in enumerate((b"The seaa\xff", TEXTS["bytes"] + b"b\n", b"The sea\xe4 ")):
        alone = TokenisedState.start(*pair, [text], window=25)
        np.testing.assert_allclose(alone.probabilities()[0], fork.probabilities()[row], rtol=2e-3, atol=1e-7)


def test_the_beam_comes_to_the_exact_law_and_spares_forwards(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()
    forward = CausalLM.forward
    monkeypatch.setattr(CausalLM, "forward", lambda *a, **k: (next(calls), forward(*a, **k))[1])

    def run(beam: int) -> tuple[float, int, NDArray[np.float64]]:
        begin = next(calls)
        state = TokenisedState.start(*pair, [b""], window=60, beam=beam)
        bits = code_length(state, TEXTS["words"] * 3)
        return bits, next(calls) - begin, state.probabilities()

    exact, everything, chances = run(0)
    wide, _, alike = run(500)
    narrow, few, _ = run(4)
    assert wide == pytest.approx(exact, abs=1e-2)
    np.testing.assert_allclose(alike, chances, rtol=2e-3, atol=1e-7)
    assert few < 0.9 * everything
    assert narrow < 2 * exact


@pytest.mark.parametrize("beam", [0, 3, 8])
@pytest.mark.parametrize("text", TEXTS)
def test_known_text_has_the_frequencies_of_a_row_that_grows(pair: Pair, text: str, beam: int) -> None:
    """Read in batches, with windows that reopen on the way; what comes after is as if the rows had grown, too."""
    symbols = np.frombuffer((TEXTS[text] * 12)[:180], dtype=np.uint8)
    symbols = np.stack([symbols, symbols[::-1], symbols], axis=1)
    growing, reading = (TokenisedState.start(*pair, [b"", b"The sea", b""], window=25, beam=beam) for _ in range(2))
    expected = State.read(growing, symbols)
    found = np.concatenate([reading.read(symbols[:70]), reading.read(symbols[70:70]), reading.read(symbols[70:])])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=3)
    assert (found.sum(axis=2) == 1 << PRECISION).all()
    assert (found >= 1).all()
    nodes = [[sum(node.is_open for node in tree.nodes) for tree in state._trees] for state in (growing, reading)]
    assert nodes[0] == nodes[1]
    again = State.read(growing, symbols[:9]), State.read(reading.fork([0, 1, 2]), symbols[:9])
    np.testing.assert_allclose(again[1], again[0], rtol=2e-3, atol=3)


def test_known_text_takes_few_forwards(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    forward = CausalLM.forward

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(given[2].shape[1])
        return forward(*given, **options)

    monkeypatch.setattr(CausalLM, "forward", counted)
    data = TEXTS["words"] * 3
    state = TokenisedState.start(*pair, [b""], beam=8)
    calls.clear()
    widths = state.measure(np.frombuffer(data, dtype=np.uint8)[:, None])
    assert widths.shape == (len(data), 1)
    assert len(calls) < len(data) / 8
    assert sum(calls) < 2 * len(data)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("lanes", [1, 7])
def test_bytes_come_back(pair: Pair, text: str, lanes: int) -> None:
    data = TEXTS[text] + b"<s>" if lanes > 1 else TEXTS[text]

    def state() -> TokenisedState:
        return TokenisedState.start(*pair, [b""] * lanes, window=25)

    code = byte_segment.encode(state(), data)
    assert byte_segment.decode(state(), code, len(data)) == data
    assert byte_segment.decode(state(), byte_segment.encode(state(), b""), 0) == b""


def test_2048_lanes(pair: Pair) -> None:
    data = tiny.PROSE.read_bytes()[:3000]
    code = byte_segment.encode(TokenisedState.start(*pair, [b""] * 2048), data)
    assert byte_segment.decode(TokenisedState.start(*pair, [b""] * 2048), code, len(data)) == data


@pytest.mark.parametrize("sharpness", [0, 1, 1e4])
def test_tokens_own_intervals_that_fill_the_line(pair: Pair, monkeypatch: pytest.MonkeyPatch, sharpness: float) -> None:
    """A token found at a point is the one whose interval holds the point; the state is as if the token had been given.

    Sharpness 0 makes all tokens equally likely, and 1e4 makes one certain.
    """
    forward = CausalLM.forward_tensors
    monkeypatch.setattr(CausalLM, "forward_tensors", lambda *given: forward(*given) * sharpness)
    taking, given = (TokenCoderState.start(*pair, [b"", b"The sea"], window=5) for _ in range(2))
    ids, generator, rows = np.sort(pair[1].ids), np.random.default_rng(3), np.arange(2)
    for step in range(12):
        ends = taking._ends.numpy().copy()
        width = np.diff(ends, axis=1, prepend=0)
        assert (width >= 1).all()
        assert (ends[:, -1] == 1 << taking.precision).all()
        columns = generator.integers(len(ids), size=2)
        low, size = (ends - width)[rows, columns], width[rows, columns]
        inside = (0, size - 1, size // 2)[step % 3]
        for got, expected in zip(taking.append_at(low + inside), (ids[columns], low, size), strict=True):
            assert np.array_equal(got, expected)
        for got, expected in zip(given.append(ids[columns]), (low, size), strict=True):
            assert np.array_equal(got, expected)
        assert np.array_equal(taking._ends, given._ends)


def assert_follows(state: TokenCoderState, pair: Pair, path: list[int]) -> None:
    """The frequencies of row 0 are the model's plain probabilities of every token after ``path``."""
    engine, tokens = pair
    begin = [] if tokens.start_token is None else [tokens.start_token]
    with torch.no_grad():
        logits = engine.model(torch.tensor([begin + path])).logits[0, -1, np.sort(tokens.ids)].double()
    expected = torch.softmax(logits, 0).numpy() * (1 << state.precision)
    np.testing.assert_allclose(np.diff(state._ends[0].numpy(), prepend=0), expected, rtol=1e-3, atol=500)


@pytest.mark.parametrize("count", [62, 63, 64, 65])
def test_prompts_may_fill_what_a_cache_begins_with(pair: Pair, count: int) -> None:
    """A new cache has 64 slots, one of them for padding. It is filled by a prompt or by a token, or it grows."""
    engine, tokens = pair
    prompt = tiny.PROSE.read_bytes()[:2000]
    state = TokenCoderState.start(engine, tokens, [prompt], window=count)
    path = tokens.encode(tokens.lead + prompt)[-count:]
    for point in (0, 1 << 29, (1 << 30) - 1):
        assert_follows(state, pair, path)
        found, _, _ = state.append_at(np.array([point]))
        path += found.tolist()
    assert_follows(state, pair, path)


def test_a_state_is_let_go_of_with_its_last_name(pair: Pair) -> None:
    """Caches are large, so nothing that refers to itself may hold them until the garbage collector runs."""
    gc.disable()
    try:
        state = TokenCoderState.start(*pair, [b""])
        state.append_at(np.zeros(1, dtype=np.int64))
        there = weakref.ref(state)
        del state
        assert there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("lanes", [1, 5])
def test_tokens_cost_what_the_model_says_and_come_back(pair: Pair, lanes: int) -> None:
    engine, tokens = pair
    data = tiny.PROSE.read_bytes()[:400]
    encoded = tokens.encode_text(data)

    def state() -> TokenCoderState:
        return TokenCoderState.start(engine, tokens, [b""] * lanes, window=25)

    code = token_segment.encode(state(), encoded)
    assert token_segment.decode(state(), code, len(tokens.lead + data)) == tokens.lead + data
    empty = token_segment.encode(state(), [])
    assert token_segment.decode(state(), empty, 0) == b""
    for damaged in (b"", code[:3], code[:-4], code[:4] + bytes([code[4] ^ 1]) + code[5:], b"\xff" * 4 + code[4:]):
        with pytest.raises(CorruptDataError):
            token_segment.decode(state(), damaged, len(tokens.lead + data))
    if lanes == 1:
        whole = TokenCoderState.start(engine, tokens, [b""])
        short = encoded[:40]
        size = len(token_segment.encode(whole, short))
        expected = -np.log2(Definition(pair).chance(tuple(short))) / 8  # without the mass of the end
        assert abs(size - expected) < 16


def test_tokens_have_windows_and_prompts(pair: Pair) -> None:
    engine, tokens = pair
    state = TokenCoderState.start(engine, tokens, [b"The sea"], window=3)
    path = tokens.encode(tokens.lead + b"The sea")[-3:]
    for token in tokens.encode(b" and the lamp and the keeper"):
        assert_follows(state, pair, path)
        state.append(np.array([token]))
        path = [*path, token]
        if len(path) == 6:
            path = path[-3:]


def test_other_weights_are_noticed(pair: Pair) -> None:
    engine, tokens = pair
    other = CausalLM(tiny.llama(engine.vocab_size, seed=9).eval(), "cpu", "float32")
    data = TEXTS["words"]
    code = byte_segment.encode(TokenisedState.start(engine, tokens, [b""]), data)
    with pytest.raises(CorruptDataError):
        byte_segment.decode(TokenisedState.start(other, tokens, [b""]), code, len(data))
    encoded = tokens.encode_text(data)
    code = token_segment.encode(TokenCoderState.start(engine, tokens, [b""]), encoded)
    with pytest.raises(CorruptDataError):
        token_segment.decode(TokenCoderState.start(other, tokens, [b""]), code, len(tokens.lead + data))


def test_what_does_not_fit_is_said(pair: Pair) -> None:
    engine, tokens = pair
    with pytest.raises(UsageError, match=r"window must be between 1 and \d+ tokens"):
        TokenisedState.start(engine, tokens, [b""], window=engine.max_positions)
    narrow = CausalLM(tiny.gpt2(300).eval(), "cpu", "float32")
    for start in (TokenisedState.start, TokenCoderState.start):
        with pytest.raises(IncompatibleError, match="do not belong together"):
            start(narrow, tokens, [b""])


def test_a_byte_without_a_token_is_possible_all_the_same() -> None:
    tokens = Tokeniser(tiny.without_tokens_for_some_bytes())
    assert tokens.missing == frozenset(range(0xF5, 0x100))
    engine = CausalLM(tiny.llama(int(tokens.ids.max()) + 1).eval(), "cpu", "float32")
    data = b"the \xff sea\xfa\xfa the"
    code = byte_segment.encode(TokenisedState.start(engine, tokens, [b""]), data)
    assert byte_segment.decode(TokenisedState.start(engine, tokens, [b""]), code, len(data)) == data
    fresh, grown = (TokenisedState.start(engine, tokens, [prompt]) for prompt in (data, b""))
    extend(grown, data)
    np.testing.assert_allclose(fresh.probabilities(), grown.probabilities(), rtol=2e-3, atol=1e-7)

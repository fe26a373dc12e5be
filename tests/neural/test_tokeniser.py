"""The byte view of tokenisers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from compgen.errors import IncompatibleError, UsageError
from compgen.neural.tokens.tokeniser import PIECE_BYTES, Tokeniser
from tests.neural import tiny

BYTE_LEVEL = tiny.byte_level()
SENTENCE_PIECE = tiny.sentence_piece()
VIEWS = {
    "byte-level": Tokeniser(BYTE_LEVEL),
    "llama-3": Tokeniser(tiny.like_llama_3()),
    "sentence-piece": Tokeniser(SENTENCE_PIECE),
    "llama-2": Tokeniser(tiny.like_llama_2()),
    "gemma": Tokeniser(tiny.like_gemma()),
}
TEXT = st.text(st.sampled_from(list("the sea  \n\n\t'slt12,.(é中<|>")), max_size=60)


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest) -> Tokeniser:
    return VIEWS[request.param]


@pytest.mark.parametrize("name", VIEWS)
@given(data=st.binary(max_size=90) | TEXT.map(str.encode))
@example(bytes(range(256)))
@example("中".encode()[:2])
@example(b"\xb8 \xe4\xb8")
@example(b" " * 200 + b"<|endoftext|><s><0x41>" + "é".encode())
def test_every_byte_string_has_an_encoding_that_spells_it(name: str, data: bytes) -> None:
    view = VIEWS[name]
    assert view.spell(view.encode(data)) == data
    assert b"".join(view.pieces(data)) == data
    assert max(map(len, view.pieces(data)), default=0) <= PIECE_BYTES + 3
    for piece in view.pieces(data):
        for end in range(len(piece) + 1):
            assert {view.spell(path) for path in view.candidates(piece[:end])} == {piece[:end]}


@pytest.mark.parametrize("name", VIEWS)
@given(text=TEXT)
@example("The lighthouse keeper's 1234 nights;  she   wrote\n\n\nit down.")
def test_pieces_are_encoded_as_the_whole_is(name: str, text: str) -> None:
    view, data = VIEWS[name], text.encode()
    longest = max((len(piece) for piece in view.pieces(view.lead + data)), default=0)
    if longest < PIECE_BYTES:
        assert view.encode(view.lead + data) == view.encode_text(data)


@given(text=TEXT.filter(lambda text: not text.startswith(" ")))
def test_it_is_the_tokenisers_own_encoding(text: str) -> None:
    makers = {"llama-3": tiny.like_llama_3, "llama-2": tiny.like_llama_2, "gemma": tiny.like_gemma}
    tokenizers = {name: make() for name, make in makers.items()}
    for name, tokenizer in {"byte-level": BYTE_LEVEL, "sentence-piece": SENTENCE_PIECE, **tokenizers}.items():
        view = VIEWS[name]
        own = tokenizer.encode(text, add_special_tokens=False)
        if text and not set(own) & set(tokenizer.all_special_ids):
            assert view.encode_text(text.encode()) == own


def test_names_of_special_tokens_are_text(view: Tokeniser) -> None:
    data = b"a <|endoftext|> b <s></s> c <unk>"
    tokens = view.encode_text(data)
    assert view.spell(tokens) == view.lead + data
    assert not set(tokens) & {view.start_token, *view.end_tokens}


LOWER = tiny.byte_level(bos=False)
LOWER.backend_tokenizer.normalizer = normalizers.Lowercase()
LOSSY = Tokeniser(LOWER)
"""The view of a tokeniser that gives no capital letter back."""

ODD = {
    "a byte that is no text": b"\xff",
    "a character cut off": "中".encode()[:2],
    "U+2581": "\u2581".encode(),
    "a capital letter": b"X",
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", [*VIEWS, "lossy"])
def test_only_the_stretch_around_what_is_odd_is_encoded_otherwise(name: str, odd: str) -> None:
    """One invalid byte, or U+2581, which SentencePiece writes for a space, once sent a whole segment byte by byte."""
    view = VIEWS.get(name, LOSSY)
    text = (b"the sea and the lamp, the keeper and the ships at sea; " * 100)[:4000]
    own = len(view.encode_text(text))
    for place in (0, 2000, 4000):
        data = text[:place] + ODD[odd] + text[place:]
        tokens = view.encode_text(data)
        assert view.spell(tokens) == view.lead + data
        assert len(tokens) <= own + 20


@pytest.mark.parametrize("name", [*VIEWS, "lossy"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" " * 5000,
        bytes(3000),
        bytes(range(256)) * 20,
        "日本語の文章です。".encode() * 200,
        "\u2581 \u2581\u2581x".encode() * 300,
        b"<|endoftext|><s></s><unk><0x41><bos><eos>" * 50,
        b"THE SEA " * 500,
    ],
)
def test_every_data_comes_back_from_its_tokens(name: str, data: bytes) -> None:
    view = VIEWS.get(name, LOSSY)
    assert view.spell(view.encode_text(data)) == view.lead + data


def test_leads() -> None:
    leads = {name: view.lead for name, view in VIEWS.items()}
    assert leads == {"byte-level": b"", "llama-3": b"", "sentence-piece": b" ", "llama-2": b" ", "gemma": b""}


def test_tokens_with_equal_bytes_share_a_place_in_the_trie() -> None:
    view = VIEWS["sentence-piece"]
    branch = view.trie.child(ord("e"))
    assert branch is not None
    fallback = SENTENCE_PIECE.convert_tokens_to_ids("<0x65>")
    plain = SENTENCE_PIECE.convert_tokens_to_ids("e")
    assert sorted(branch.complete) == sorted([fallback, plain])
    assert view.encode(b"e") == [plain]


def test_masses_are_the_sums_over_tokens(view: Tokeniser) -> None:
    shares = np.random.default_rng(3).dirichlet(np.ones(len(view.ids)))
    spelled = [view.spell([token]) for token in view.ids.tolist()]
    for beginning in (b"", b" ", b" t", b"th", b"\xe4", b"zz"):
        branch, part = view.trie, shares
        for symbol in beginning:
            child = branch.child(symbol) if branch is not None else None
            if child is not None:
                part = part[child.begin - branch.begin :][: child.end - child.begin]
            branch = child  # type: ignore[assignment]
        expected = [sum(p for p, s in zip(shares, spelled, strict=True) if s.startswith(beginning + bytes([b])))
                    for b in range(256)]  # fmt: skip
        got = np.zeros(256)
        if branch is not None:
            got[branch.next_bytes] = branch.masses(part)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", VIEWS)
@settings(max_examples=60)
@given(text=TEXT)
def test_probes_find_what_encodings_of_longer_text_begin_with(name: str, text: str) -> None:
    """For text of these letters, every beginning of an encoding is among the candidates of the bytes that it spells."""
    view, data = VIEWS[name], text.encode()
    for piece in view.pieces(data):
        tokens = view.encode_piece(piece)
        for count in range(1, len(tokens)):
            spelled = view.spell(tokens[:count])
            if spelled.isascii():
                assert tokens[:count] in view.candidates(spelled)


def test_two_newlines_may_be_one_token_or_two() -> None:
    view = VIEWS["byte-level"]
    both, one = view.encode(b"\n\n"), view.encode(b"\n")
    assert len(both) == 1, "the fixture has a token of two newlines"
    assert set(view.candidates(b"\n\n")) == {tuple(both), tuple(one * 2)}


def test_a_character_cut_off_may_be_merged_so_far() -> None:
    """BPE merges a space and the first byte of ``é``; the tokeniser, which takes text, never shows that by itself."""
    view = VIEWS["byte-level"]
    begun = " é".encode()[:2]
    merged = BYTE_LEVEL.get_vocab()["ĠÃ"]
    assert view.spell([merged]) == begun, "the fixture merges these bytes"
    canonical = view.encode_piece(begun)
    assert len(canonical) == 2
    assert view.candidates(begun) == (canonical, (merged,))


def test_tokenisers_that_cannot_write_every_byte_are_refused(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"sea": 0, "<unk>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(IncompatibleError, match="no token for 256 of 256 bytes"):
        Tokeniser(PreTrainedTokenizerFast(tokenizer_object=words))


def test_a_tokeniser_that_is_not_there_or_damaged_is_said_in_a_line(tmp_path: Path) -> None:
    def refused(match: str) -> None:
        with pytest.raises(UsageError, match=match) as caught:
            Tokeniser.load(str(tmp_path))
        assert "\n" not in str(caught.value)

    refused("no tokeniser at .* tokenizer.json")
    BYTE_LEVEL.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    right = json.loads(file.read_text())
    for damaged in ("", "[]", json.dumps(right)[:2000], json.dumps(right | {"model": {}})):
        file.write_text(damaged)
        refused("no tokeniser at")

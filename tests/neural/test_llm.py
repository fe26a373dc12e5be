"""Language models with a tokeniser as users see them: by a spec, in files, in samples."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compgen
from compgen.coding import independent_segment, token_segment
from compgen.coding.container import MAGIC, EndFrame, ModelFrame, SegmentFrame, checksum
from compgen.coding.fingerprint import earlier_fingerprint
from compgen.coding.frame_reader import FrameReader
from compgen.coding.numbers import number
from compgen.coding.segmenter import Segmenter
from compgen.coding.sizing import Sizes, sizes
from compgen.coding.writer import Writer, model_frame
from compgen.errors import CorruptDataError, IncompatibleError, OutOfMemoryError, UsageError
from compgen.models import ByteModel, load
from compgen.models.base import PRECISION, State
from compgen.models.language import TokenModel
from compgen.testing import check_model
from tests.conftest import Run

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import PreTrainedTokenizerFast  # noqa: E402

from compgen.neural import folder, llm  # noqa: E402
from compgen.neural.tokens.engine import CausalLM  # noqa: E402
from tests.neural import tiny  # noqa: E402


@pytest.fixture(scope="module", params=tiny.KINDS)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"llm:{tiny.make(request.param, tmp_path_factory.mktemp(request.param))}"


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"llm:{tiny.make('gpt2', tmp_path_factory.mktemp('one'))}"


def kinds(blob: bytes) -> str:
    """Return a letter for each segment: C if it is coded byte by byte, T as tokens, S if it is stored."""
    frames, found = FrameReader(io.BytesIO(blob)), ""
    while not isinstance(frame := frames.read(), EndFrame):
        if isinstance(frame, SegmentFrame):
            found += "S" if not frame.coded else "T" if frame.tokens else "C"
    return found


def test_round_trips(spec: str, prose: bytes) -> None:
    """Random weights compress little, so segments may be stored; here they are coded in any case."""
    model = load(spec)
    for data in (
        b"a",
        prose[:150],
        bytes(40),
        bytes(range(256)),
        "na\u00efve \u2603".encode(),
        b"\xff\xfe ok <|endoftext|><s>",
    ):
        assert compgen.decompress(compgen.compress(data, model), model) == data
        for lanes in (1, 3):
            code, tokens = independent_segment.encode(model, data, lanes, verify=True)
            assert tokens
            assert independent_segment.decode(model, SegmentFrame(len(data), code, b"", True, tokens), lanes) == data
    assert compgen.decompress(compgen.compress(b"", model), model) == b""


def test_lanes_suit_the_size_and_the_device(gpt2: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(llm, "device", lambda device=device: device)
        for name in ("llm", gpt2):
            model = load(name)
            worth = 4096 if name == "llm" else 1 << 16
            assert [sizes(model, size).lanes for size in (0, 2 * worth - 1, 10 * worth)] == [1, 1, 10]
            found[device, name] = sizes(model, 1 << 30)
    assert found == {
        ("cpu", "llm"): Sizes(64, 1 << 20),
        ("cpu", gpt2): Sizes(32, 1 << 21),
        ("cuda", "llm"): Sizes(2048, 1 << 23),
        ("cuda", gpt2): Sizes(256, 1 << 24),
    }


def test_all_bytes_are_coded_as_tokens(gpt2: str) -> None:
    likely = likely_text(gpt2)
    for data in (likely, likely[:150] + b"\xff" + likely[150:]):
        blob = compgen.compress(data, gpt2)
        assert kinds(blob) == "T"
        assert compgen.decompress(blob, gpt2) == data


ODD = {
    "one bad byte": (b"The sea, and the lamp. " * 4500)[:50_000]
    + b"\xff"
    + (b"The sea, and the lamp. " * 4500)[:50_000],
    "U+2581": "The\u2581sea and\u2581the lamp. ".encode() * 50,
    "spaces": b" " * 20_000,
    "ideographs": "灯台守は夜になると灯をともし、船は海から来た。".encode() * 450,
    "special tokens": b"a <|endoftext|><s></s><unk><bos><eos><0x0A> b" * 30,
    "no text": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_odd_data_comes_back_from_tokens(kind: str, odd: str, tmp_path: Path) -> None:
    model, data = load(f"llm:{tiny.make(kind, tmp_path)}"), ODD[odd]
    assert isinstance(model, TokenModel)
    _, tokens = independent_segment.encode(model, data, 256, verify=True)
    assert tokens
    if odd == "one bad byte":
        spelled, without = model.encode(data), model.encode(data.replace(b"\xff", b""))
        assert spelled is not None
        assert without is not None
        assert len(spelled) <= len(without) + 20, "only the stretch around it is spelled otherwise"


def test_bytes_without_tokens_are_listed_beside_the_code(tmp_path: Path) -> None:
    tokenizer = tiny.without_tokens_for_some_bytes()
    model = load(f"llm:{tiny.save(tmp_path, tiny.llama(len(tokenizer)), tokenizer)}")
    assert isinstance(model, TokenModel)
    assert model.missing == frozenset(range(0xF5, 0x100))
    assert model.encode(b"sea \xff") is None
    for data in (b"\xff", b"\xff\xfe" * 9, b"the \xff sea\xfa\xfa the", b"the sea" * 9 + b"\xf5", b"\xf6 the sea"):
        for lanes in (1, 3):
            code, tokens = independent_segment.encode(model, data, lanes, verify=True)
            frame = SegmentFrame(len(data), code, b"", coded=True, tokens=tokens)
            assert independent_segment.decode(model, frame, lanes) == data
            for damaged in (b"", b"\xff", b"\x7f" + code[1:], code[:2]):
                with pytest.raises(CorruptDataError):
                    independent_segment.decode(model, dataclasses.replace(frame, body=damaged), lanes)
    blob = compgen.compress(b"the sea the sea " * 9 + b"\xff", model)
    assert compgen.decompress(blob, model) == b"the sea the sea " * 9 + b"\xff"


@functools.cache
def likely_text(spec: str) -> bytes:
    """Text that a model of random weights compresses: its own sample."""
    return compgen.sample(spec, length=300, temperature=0.2, allow="printable", seed=3)[0].data


def test_a_mixture_is_scored_with_few_forwards(gpt2: str, prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data, mixture = prose[:300], load(f"{gpt2}+backoff:order=2")
    symbols = np.frombuffer(data, dtype=np.uint8)[:, None]
    expected = State.measure(mixture.start([b""]), symbols)[:, 0]
    calls, forward = itertools.count(), CausalLM.forward
    monkeypatch.setattr(CausalLM, "forward", lambda *given: (next(calls), forward(*given))[1])
    found = compgen.score(mixture, data)
    np.testing.assert_allclose(found.surprisals, PRECISION - np.log2(expected), atol=0.01)
    assert next(calls) < len(data) / 8


def test_a_short_file_says_little_beside_its_code(gpt2: str, tmp_path: Path) -> None:
    data = likely_text(gpt2)
    blob = compgen.compress(data, gpt2)
    assert blob[5:6] == b"t"
    model = load(gpt2)
    assert isinstance(model, TokenModel)
    state, bits = model.start_tokens(1), 0.0
    for token in model.encode(data) or []:
        bits += state.precision - np.log2(state.append(np.array([token]))[1][0])
    assert len(blob) - bits / 8 < 30
    assert Path(gpt2).name.encode() not in blob
    with pytest.raises(IncompatibleError, match=r"written with 'llm:DIR', .* llm: with the folder"):
        compgen.decompress(blob)
    option = compgen.compress(data, f"{gpt2},window=20")
    with pytest.raises(UsageError, match="written with 'llm:DIR,window=20'"):
        compgen.decompress(option, gpt2)
    assert compgen.decompress(blob + option[:0] + blob, gpt2) == data + data
    assert compgen.decompress(option, f"{gpt2},window=20") == data


@pytest.mark.parametrize("lanes", [1, 3])
def test_segments_of_tokens_of_version_3_still_decode(gpt2: str, lanes: int) -> None:
    """Their code began with the number of tokens in four bytes, in one lane as well, and had no list."""
    model, data = load(gpt2), likely_text(gpt2)
    assert isinstance(model, TokenModel)
    tokens = model.encode(data) or []
    code = token_segment.encode(model.start_tokens(lanes), tokens)[0 if lanes == 1 else len(number(len(tokens))) :]
    frame = SegmentFrame(len(data), struct.pack("<I", len(tokens)) + code, checksum(0, data), coded=True, tokens=True)
    named = model_frame(model, lanes, independent=True)
    end = EndFrame(len(data), hashlib.blake2b(data, digest_size=16).digest())
    for version in (b"\x02", b"\x03"):
        old = MAGIC + version + b"M" + named.pack() + b"T" + frame.pack() + b"E" + end.pack()
        assert compgen.decompress(old, model) == data
        with pytest.raises(CorruptDataError):
            compgen.decompress(MAGIC + version + compgen.compress(data, model)[5:], model)


def segments(spec: str, data: bytes, segment_size: int | None = None) -> list[bytes]:
    """The segments that a file of ``data`` has, written in two pieces."""
    segmenter = Segmenter(load(spec), segment_size=segment_size)
    found: list[bytes] = []
    for piece in (data[:77], data[77:]):
        segmenter.append(memoryview(piece))
        found += segmenter.full_segments()
    segmenter.end()
    return [*found, *segmenter.full_segments(), segmenter.last_segment()]


def test_segments_end_where_characters_do(gpt2: str) -> None:
    """A character that is cut in two takes more tokens."""
    text, other = ("中é☃𝄞a" * 60).encode(), b"\x80" * 250
    for spec, cut in ((gpt2, True), ("backoff", False)):
        pieces = segments(spec, text + other, segment_size=100)
        assert b"".join(pieces) == text + other
        assert all(len(piece) in (range(97, 101) if cut else (100,)) for piece in pieces[:-1])
        assert all(_is_text(piece) for piece in pieces[: len(text) // 100]) == cut


def _is_text(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def test_a_file_of_unknown_size_has_the_segments_that_suit(gpt2: str) -> None:
    assert list(map(len, segments(gpt2, bytes(300_000)))) == [1 << 18, 300_000 - (1 << 18)], "64 KB a lane"


def test_memory_that_ends_after_the_network_halves_lanes(gpt2: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from compgen.neural.tokens.token_state import TokenCoderState

    read = TokenCoderState._read

    def small(state: TokenCoderState, tokens: Any) -> None:
        if state.rows > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        read(state, tokens)

    likely = likely_text(gpt2)
    monkeypatch.setattr(TokenCoderState, "_read", small)
    blob = compgen.compress(likely, gpt2, lanes=8)
    named = FrameReader(io.BytesIO(blob)).read()
    assert isinstance(named, ModelFrame)
    assert named.lanes == 2
    assert compgen.decompress(blob, gpt2) == likely


def test_a_token_beyond_the_logits_is_said(tmp_path: Path) -> None:
    folder = tiny.make("gpt2", tmp_path / "m")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>"})
    tokenizer.save_pretrained(folder)
    with pytest.raises(IncompatibleError, match="do not belong together"):
        load(f"llm:{folder}").start([b""])


def test_a_model_of_the_hub_is_asked_for_once(gpt2: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(name: str, **_: object) -> str:
        asked.append(name)
        return gpt2.removeprefix("llm:")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    compgen.compress(b"once", "llm:somebody/something")
    assert asked == ["somebody/something"]
    folder._fetched.cache_clear()


@pytest.mark.parametrize(
    ("path", "match"), [("./a", "no folder here"), ("a/b/c", "no folder here"), ("a/b", "OSError")]
)
def test_what_is_neither_a_folder_nor_on_the_hub_is_said_in_a_line(
    path: str, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError  # without a message

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(UsageError, match=match) as caught:
        load(f"llm:{path}")
    assert "\n" not in str(caught.value)


def test_conforms(gpt2: str) -> None:
    model = load(gpt2)
    assert not model.reproducible
    check_model(model)


def test_it_samples_scores_and_mixes(gpt2: str, prose: bytes) -> None:
    drawn = compgen.sample(gpt2, prose[:50], length=20, samples=2, seed=1)
    assert [len(one.data) for one in drawn] == [20, 20]
    mixture = load(f"{gpt2}+backoff:order=2")
    assert not mixture.reproducible
    assert compgen.score(mixture, prose[50:120], prose[:50]).derived_bpb < 8


def test_other_floats_are_refused(gpt2: str) -> None:
    """The fingerprint is a digest of frequencies, and another type, device or build gives other frequencies."""
    likely = likely_text(gpt2)
    blob = compgen.compress(likely, gpt2, lanes=2)  # a short container, of one lane, names no versions
    named = FrameReader(io.BytesIO(blob)).read()
    assert isinstance(named, ModelFrame)
    assert "torch" in named.versions
    assert "float32" in named.versions
    with pytest.raises(IncompatibleError, match="--compressor"):
        compgen.decompress(blob)
    with pytest.raises(UsageError, match="written with"):
        compgen.decompress(blob, f"{gpt2},dtype=bfloat16")
    other = compgen.compress(likely, f"{gpt2},dtype=bfloat16", lanes=2, verify=False)
    frame = FrameReader(io.BytesIO(other)).read()
    assert isinstance(frame, ModelFrame)
    assert other.count(frame.pack()) == 1
    forged = other.replace(frame.pack(), dataclasses.replace(frame, spec=named.spec).pack())
    with pytest.raises(IncompatibleError, match="behaves otherwise here"):
        compgen.decompress(forged, gpt2)


@pytest.mark.parametrize("lanes", [1, 3])
def test_older_files_open(gpt2: str, lanes: int) -> None:
    """Their model had another window, no beam and another fingerprint: of all files, in as many rows as lanes."""
    model, named = load(gpt2).earlier()
    assert str(model) == f"{gpt2},window=92,beam=0"
    assert str(named) == f"{gpt2},window=92"
    assert [str(model) for model in load(f"{gpt2},window=9,beam=3").earlier()] == [f"{gpt2},window=9,beam=3"]
    data = b"\xff" + compgen.sample(gpt2, length=300, temperature=0.1, seed=3)[0].data
    for text in (data, data[1:]):
        blob, frame = with_model_frame(text, model, lanes)
        alike = load(f"{gpt2},window=92,beam=0")  # with the digest of today
        for spec, print_of, opens in ((gpt2, model, True), (gpt2, alike, False)):
            older = dataclasses.replace(frame, spec=spec, fingerprint=earlier_fingerprint(print_of, lanes))
            forged = blob.replace(frame.pack(), older.pack())
            if opens:
                assert compgen.decompress(forged, gpt2) == text
            else:
                with pytest.raises(IncompatibleError, match="behaves otherwise here"):
                    compgen.decompress(forged, gpt2)
    blob, frame = with_model_frame(data, named, lanes)
    older = dataclasses.replace(frame, spec=f"{gpt2},beam=10", fingerprint=earlier_fingerprint(named, lanes))
    assert compgen.decompress(blob.replace(frame.pack(), older.pack()), f"{gpt2},beam=10") == data


def with_model_frame(data: bytes, model: ByteModel, lanes: int) -> tuple[bytes, ModelFrame]:
    """Return a file of ``data`` that is no short container, and the frame that names its model."""
    out = io.BytesIO()
    # One segment of one lane would have no model frame.
    with Writer(out, model, lanes=lanes, segment_size=len(data) - 1 if lanes == 1 else None) as writer:
        writer.write(data)
    frames = FrameReader(io.BytesIO(out.getvalue()))
    while not isinstance(frame := frames.read(), ModelFrame):  # a stored segment may come first
        assert not isinstance(frame, EndFrame)
    assert out.getvalue().count(frame.pack()) == 1
    return out.getvalue(), frame


def test_lanes_are_halved_until_memory_suffices(gpt2: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from compgen.neural.llm import TokenLLM

    asked: list[int] = []
    start = TokenLLM.start_tokens

    def small(self: TokenLLM, rows: int) -> object:
        asked.append(rows)
        if rows > 2:
            raise OutOfMemoryError("no room")
        return start(self, rows)

    data = likely_text(gpt2)
    monkeypatch.setattr(TokenLLM, "start_tokens", small)
    blob = compgen.compress(data, gpt2, lanes=8)
    assert asked[:3] == [8, 4, 2]
    assert compgen.decompress(blob, gpt2) == data
    monkeypatch.setattr(TokenLLM, "start_tokens", lambda *rest: (_ for _ in ()).throw(OutOfMemoryError("no room")))
    with pytest.raises(OutOfMemoryError):
        compgen.compress(data, gpt2, lanes=8)


def test_the_command_line(gpt2: str, cgn: Run, tmp_path: Path, prose: bytes) -> None:
    (tmp_path / "a").write_bytes(prose[:200])
    done = cgn("compress", str(tmp_path / "a"), "-c", gpt2, "--lanes", "2")
    assert done.returncode == 0, done.stderr.decode()
    done = cgn("decompress", str(tmp_path / "a.cgn"), "-o", "-", "-c", gpt2)
    assert done.stdout == prose[:200], done.stderr.decode()
    done = cgn("sample", "-c", "llm:nobody/nothing", "--text", "a", HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


def test_options_of_the_one_kind_are_refused_by_the_other(gpt2: str) -> None:
    assert str(load(f"{gpt2},beam=9")) == f"{gpt2},beam=9"
    for option in ("beam=9", "dtype=bfloat16"):
        with pytest.raises(UsageError, match="for models with a tokeniser"):
            load(f"llm:{option}")
    with pytest.raises(UsageError, match="dtype"):
        load(f"{gpt2},dtype=float7").start([b""])
    assert folder.speaks_bytes({"model_type": "llama", "vocab_size": 257})
    assert not folder.speaks_bytes({"model_type": "gpt2", "vocab_size": 257})
    assert np.isfinite(load(gpt2).start([b"x"]).log2_probs()).all()

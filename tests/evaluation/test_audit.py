"""The audit passes real models, and catches each way to claim a rate that no file has."""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import compgen
from compgen.cli import run
from compgen.coding.ordered_pool import OrderedPool
from compgen.errors import UsageError
from compgen.evaluation.audit import audit
from compgen.models.base import PRECISION, ByteModel
from compgen.models.uniform import UniformState
from compgen.testing import check_normalised
from compgen.types import Frequencies, Symbols

TEXT = b"She sells sea shells by the sea shore; the shells she sells are sea shells. " * 3
ANSWERS: list[bytes] = []
"""What a model that peeks finds in this process, and not in the decoder's."""


class HonestState(UniformState):
    """A model of one row that says a byte is likely if it is the one that came last."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.seen = b""

    def likely(self) -> int:
        return self.seen[-1] if self.seen else 0

    def frequencies(self) -> Frequencies:
        found = np.full((1, 256), 1 << 15, dtype=np.int64)
        found[0, self.likely()] += (1 << PRECISION) - found.sum()
        return found

    def extend(self, symbols: Symbols) -> None:
        self.seen += bytes(symbols.tolist())


class WrongSum(HonestState):
    """The likely byte gets more, and no other byte less, as where predictions are mixed without normalising."""

    def frequencies(self) -> Frequencies:
        found = super().frequencies()
        if len(self.seen) == 100:
            found[0, self.likely()] += 1
        return found


class Zero(HonestState):
    def frequencies(self) -> Frequencies:
        found = super().frequencies()
        if len(self.seen) == 7:
            found[0, 0xFF], found[0, 0xFE] = 0, found[0, 0xFE] + found[0, 0xFF]
        return found


class Floats(HonestState):
    def frequencies(self) -> Frequencies:
        return super().frequencies().astype(np.float64)


class PeekingInside(HonestState):
    """Its frequencies are honest, but known bytes are priced by what they turn out to be."""

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        low, width = super().consume(symbols)
        return low, np.full_like(width, 1 << (PRECISION - 1))


class PeekingOutside(HonestState):
    """It finds the text lying about, and says that each byte is the one that comes."""

    def likely(self) -> int:
        return (ANSWERS[0] if ANSWERS else bytes(1000))[len(self.seen)]


class OtherScore(HonestState):
    """Its score is 0.2% lower than its code."""

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        low, width = super().consume(symbols)
        return low, np.ceil(width.astype(np.float64) ** 0.998 * 2 ** (0.002 * PRECISION)).astype(np.int64)


class OtherLogs(HonestState):
    def log2_probs(self) -> NDArray[np.float64]:
        return super().log2_probs() + 0.01


@dataclass(frozen=True)
class Mock(ByteModel):
    kind: str = "HonestState"

    name: ClassVar[str] = "mock"

    def start(self, prompts: Sequence[bytes]) -> HonestState:
        state: HonestState = globals()[self.kind](len(prompts))
        return state


def test_an_honest_model_passes_and_its_certificate_says_what_was_seen() -> None:
    found = check_normalised(Mock(), TEXT)
    bits = -sum(
        math.log2((1 << 15 if now != before else (1 << 24) - 255 * (1 << 15)) / 2**24)
        for before, now in zip(b"\0" + TEXT, TEXT, strict=False)
    )
    assert found.score_bits == pytest.approx(bits)
    assert abs(found.code_bits - bits) < found.allowed_bits == pytest.approx(0.0005 * bits + 64)
    assert found.text_bytes == found.positions == found.decoded_bytes == len(TEXT)
    assert (found.least_frequency, found.segments) == (1 << 15, 1)
    said = json.loads(found.json())
    assert said["certificate"] == "compgen audit 1"
    assert said["passed"] is True
    assert said["text_sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert said["compgen"] == compgen.__version__


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (WrongSum, "before byte 100 the 256 frequencies sum to 16,777,217, not to 2"),
        (Zero, "before byte 7 the frequency of the byte 0xff is 0"),
        (Floats, "must be .1, 256. integers, not float64"),
        (PeekingInside, "the score of the segment at byte 0 is 228.0 bits"),
        (OtherScore, "they may differ by"),
        (OtherLogs, "log2_probs"),
        (PeekingOutside, "does not decode in a fresh process from byte 0 on"),
    ],
)
def test_a_planted_cheat_is_caught(kind: type[HonestState], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT * 20 if kind is OtherScore else TEXT  # within 8 bytes a score may differ anyhow
    monkeypatch.setattr(sys.modules[__name__], "ANSWERS", [text])
    with pytest.raises(AssertionError, match=said):
        check_normalised(Mock(kind.__name__), text)
    found = audit(Mock(kind.__name__), text)
    assert not found.passed
    assert json.loads(found.json())["failure"] == found.failure
    assert found.text_bytes in (0, len(text))


def test_a_model_that_learns_in_the_audit_does_not_reach_the_decoder() -> None:
    class Local(Mock):
        pass

    with pytest.raises(UsageError, match="define its class in a module"):
        check_normalised(Local(), TEXT)


FORMS: dict[str, Callable[[bytes], Any]] = {
    "file": io.BytesIO,
    "blocks": lambda data: iter([data[:10], b"", data[10:]]),
    "text": bytes.decode,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_text_is_read_as_it_comes(form: str) -> None:
    found = audit("backoff:order=2", FORMS[form](TEXT), segment=100)
    assert (found.passed, found.segments, found.decoded_bytes) == (True, 3, len(TEXT))
    parts = [TEXT[:100], TEXT[100:200], TEXT[200:]]
    assert found.score_bits == pytest.approx(sum(compgen.score("backoff:order=2", p).surprisals.sum() for p in parts))
    assert found.text_sha256 == hashlib.sha256(TEXT).hexdigest()


@pytest.mark.parametrize("spec", ["gzip:rule=decoder", "gzip:rule=one-step+backoff:order=2", "zstd:rule=calibrated"])
def test_models_of_the_package_pass(spec: str) -> None:
    assert check_normalised(spec, TEXT[:60]).passed


def test_language_models_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from tests.neural import tiny

    monkeypatch.setattr("compgen.evaluation.audit.OrderedPool", lambda count: OrderedPool(1))  # torch starts slowly
    found = check_normalised(f"llm:{tiny.make('gpt2', tmp_path)}", TEXT[:20] + b"\xff")
    assert not found.reproducible
    assert found.parameters > 10_000


@pytest.mark.parametrize("size", range(1, 40, 3))
def test_short_codes_are_within_eight_bytes_of_their_scores(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that began with a checksum, as a file's segments do, was up to 65 bits longer than its score."""
    monkeypatch.setattr("compgen.evaluation.audit.TOLERANCE", 1e-6)
    monkeypatch.setattr("compgen.evaluation.audit.OrderedPool", lambda count: OrderedPool(1))  # a process is slow
    for begin in range(20):
        assert audit("backoff:order=2", TEXT[begin : begin + size]).passed


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to audit"):
        audit("uniform", b"")


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(TEXT[:100])
    assert run(["score", str(tmp_path / "text"), "-c", "gzip", "--audit"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "gzip:rule=decoder"
    assert run(["score", str(tmp_path / "text"), "--audit", "--context", "5"]) == 2
    assert "leave out --control, --context and --offset" in capsys.readouterr().err


def test_the_command_fails_where_a_check_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = audit(Mock("WrongSum"), TEXT)
    monkeypatch.setattr("compgen.evaluation.audit.audit", lambda *given, **options: failed)
    assert run(["score", "--text", "sea shells", "--audit"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["passed"] is False
    assert "sum to 16,777,217" in shown.err

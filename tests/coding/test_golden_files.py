"""Golden files: every later release must decode them, and write them again byte by byte.

The files in ``golden/`` were written by earlier commits. A file that is missing fails its test, since a format is a
promise. Write a file only for a new name. This project alone computes every model here, since another build of a
compression library would change the frequencies.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import compgen
from compgen.coding.container import EndFrame, FrameReader, SegmentFrame
from compgen.coding.fingerprint import fingerprint
from compgen.coding.trust import DEFAULT_RULE
from compgen.coding.writer import Writer
from compgen.models import load
from tests.conftest import ROOT

GOLDEN = Path(__file__).parent / "golden"
NETWORK = "llm:tests/coding/golden/network"
"""A network of two small layers that were trained on TEXT until they knew it."""

TEXT = b"She sells sea shells by the sea shore; the shells she sells are sea shells, she is sure.\n" * 4
SHORT = TEXT[:178]
WORDS = b"banana bandana " * 10
PICTURE = bytes((40 * colour + 7 * x + 3 * y) % 256 for y in range(7) for x in range(8) for colour in range(3))
SOUND = b"".join((32768 + 900 * abs(i % 24 - 12)).to_bytes(2, "big") for i in range(80))


@dataclass(frozen=True)
class Golden:
    """What a golden file was written from, and the kinds of its segments."""

    spec: str
    data: bytes
    kinds: str = "coded"
    options: dict[str, Any] = field(default_factory=dict)
    names_no_rule: bool = False
    """Whether it is from before files named the rule. It means the calibrated rule; no new file is like it."""

    @property
    def given(self) -> str | None:
        """The spec, if a file may not choose it."""
        return self.spec if self.spec.startswith(("model:", NETWORK)) else None


FILES = {
    "backoff": Golden("backoff:order=3", TEXT),
    "best": Golden('model:"backoff:order=2",effort=best', WORDS[:120], names_no_rule=True),
    "best-named": Golden('model:"backoff:order=2",rule=calibrated,effort=best', WORDS[:120]),
    "calibrated": Golden('model:"backoff:order=2"', SHORT, names_no_rule=True),
    "calibrated-named": Golden('model:"backoff:order=2",rule=calibrated', SHORT),
    "derived-uniform": Golden('model:"uniform"', WORDS, names_no_rule=True),
    "derived-uniform-named": Golden('model:"uniform",rule=calibrated', WORDS),
    "law": Golden('model:"backoff:order=2",rule=decoder', TEXT),
    "law-window": Golden('model:"backoff:order=1",rule=decoder,window=30', WORDS, options={"lanes": 2}),
    "history": Golden("history", TEXT),
    "history-window": Golden("history:stride=7,window=60", WORDS, options={"lanes": 2}),
    "jobs": Golden("backoff:order=2", TEXT, "coded coded coded", {"jobs": 2, "segment_size": 150}),
    "llm": Golden("llm", TEXT[:300]),
    "mixture": Golden("backoff:order=1+backoff:order=4", TEXT),
    "network": Golden(NETWORK, TEXT),
    "network-lanes": Golden(NETWORK, TEXT, options={"lanes": 3}),
    "one-step": Golden('model:"backoff:order=2",rule=one-step', SHORT),
    "picture": Golden('model:"backoff:order=1",stride=24,pixel=3', PICTURE, names_no_rule=True),
    "picture-named": Golden('model:"backoff:order=1",rule=calibrated,stride=24,pixel=3', PICTURE),
    "segments": Golden("backoff:order=2", TEXT + bytes(range(256)) + TEXT, "coded coded stored coded coded coded",
                       {"segment_size": 178}),
    "signal": Golden("signal:stride=24,pixel=3", PICTURE),
    "signal-line": Golden("signal:pixel=2,depth=16", SOUND),
    "sound": Golden('model:"backoff:order=1",pixel=2,depth=16', SOUND, names_no_rule=True),
    "sound-named": Golden('model:"backoff:order=1",rule=calibrated,pixel=2,depth=16', SOUND),
    "stored": Golden("uniform", bytes(range(256)), "stored"),
    "window": Golden('model:"backoff:order=1",window=30', WORDS, names_no_rule=True),
    "window-named": Golden('model:"backoff:order=1",rule=calibrated,window=30', WORDS),
}  # fmt: skip

FINGERPRINTS = sorted(
    {one.spec for one in FILES.values()}
    | {"backoff", "backoff:order=0", "llm:window=40", "llm+backoff", 'model:"backoff"'}
)


@pytest.fixture(autouse=True)
def _paths_are_from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # a spec holds a path as it was given


def written(one: Golden, verify: bool) -> bytes:
    out = io.BytesIO()
    with Writer(out, one.spec, verify=verify, total=len(one.data), **one.options) as writer:
        writer.write(one.data)
    return out.getvalue()


def segments(blob: bytes) -> str:
    reader = FrameReader(io.BytesIO(blob))
    frames: list[object] = [reader.read()]
    while not isinstance(frames[-1], EndFrame):
        frames.append(reader.read())
    return " ".join("coded" if frame.coded else "stored" for frame in frames if isinstance(frame, SegmentFrame))


@pytest.mark.parametrize("name", FILES)
def test_golden_files_of_version_1_still_decode_and_are_still_written(name: str) -> None:
    one = FILES[name]
    if one.spec.startswith("llm"):
        pytest.importorskip("torch")
    blob = (GOLDEN / f"v1-{name}.cgn").read_bytes()
    assert segments(blob) == one.kinds
    assert compgen.decompress(blob, one.given) == one.data
    found = written(one, verify=False)
    if one.names_no_rule:
        assert compgen.decompress(blob, FILES[f"{name}-named"].given) == one.data
        assert found == (GOLDEN / f"v1-{name}-named.cgn").read_bytes()
    else:
        assert found == blob


def test_every_golden_file_is_tested() -> None:
    assert {path.stem.removeprefix("v1-") for path in GOLDEN.glob("*.cgn")} == set(FILES)


@pytest.mark.parametrize("spec", FINGERPRINTS)
def test_fingerprints_are_those_that_files_hold(spec: str) -> None:
    """If a fingerprint changed, every file that was written before would be refused."""
    if "llm" in spec:
        pytest.importorskip("torch")
    recorded: dict[str, str] = json.loads((GOLDEN / "fingerprints.json").read_text())
    assert fingerprint(load(spec).resolved(DEFAULT_RULE)).hex() == recorded[spec]

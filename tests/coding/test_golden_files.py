"""Golden files: every later release must decode them, and write those of the present version again byte by byte.

The files in ``golden/`` were written by earlier commits. A file that is missing fails its test, since a format is a
promise. Write a file only for a new name. This project alone computes every model here, since another build of a
compression library would change the frequencies. Files of version 1 are those of models that are still the same.
Some of the calibrated rule of then are kept, to be refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

import compgen
from compgen.coding.container import EndFrame, SegmentFrame
from compgen.coding.fingerprint import fingerprint
from compgen.coding.frame_reader import FrameReader
from compgen.coding.model_compressor import ModelCompressor
from compgen.coding.trust import DEFAULT_RULE
from compgen.coding.writer import Writer
from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor, Meter
from compgen.errors import IncompatibleError
from compgen.laws.base import Law, NoLaw
from compgen.models import load
from compgen.types import CodeLengths
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

    @property
    def given(self) -> str | None:
        """The spec, if a file may not choose it."""
        return self.spec if self.spec.startswith(("model:", "lawless:", NETWORK)) else None


@dataclass(frozen=True)
class Lawless(Compressor):
    """A compressor without a law that needs no library, so that the calibrated rule works by proposals."""

    order: int = 1

    name: ClassVar[str] = "lawless"
    law_kind: ClassVar[str] = "none"
    resolution: ClassVar[float] = 0.0
    conditional: ClassVar[bool] = True

    @classmethod
    def version(cls) -> str:
        return ""

    @property
    def _coder(self) -> ModelCompressor:
        return ModelCompressor(load(f"backoff:order={self.order}"))

    def law(self) -> Law:
        raise NoLaw("it tells none")

    def compress(self, data: bytes) -> bytes:
        return self._coder.compress(data)

    def decompress(self, blob: bytes) -> bytes:
        return self._coder.decompress(blob)

    def open(self, context: bytes) -> Meter:
        return self._coder.open(context)

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        return self._coder.code_lengths(context, continuations)


FILES = {
    "backoff": Golden("backoff:order=3", TEXT),
    "calibrated": Golden('model:"backoff:order=2",rule=calibrated', SHORT),
    "calibrated-uniform": Golden('model:"uniform",rule=calibrated', WORDS, "stored"),
    "calibrated-window": Golden('model:"backoff:order=1",rule=calibrated,window=30', WORDS),
    "empty": Golden("uniform", b"", ""),
    "history": Golden("history", TEXT),
    "history-window": Golden("history:stride=7,window=60", WORDS, options={"lanes": 2}),
    "jobs": Golden("backoff:order=2", TEXT, "coded coded coded", {"jobs": 2, "segment_size": 150}),
    "law": Golden('model:"backoff:order=2",rule=decoder', TEXT),
    "law-window": Golden('model:"backoff:order=1",rule=decoder,window=30', WORDS, options={"lanes": 2}),
    "llm": Golden("llm", TEXT[:300]),
    "mixture": Golden("backoff:order=1+backoff:order=4", TEXT),
    "mixture-law": Golden('model:"backoff:order=2",rule=decoder+history', SHORT),
    "network": Golden(NETWORK, TEXT),
    "network-lanes": Golden(NETWORK, TEXT, options={"lanes": 3}),
    "one-step": Golden('model:"backoff:order=2",rule=one-step', SHORT),
    "proposals": Golden("lawless:order=2,rule=calibrated", SHORT),
    "proposals-best": Golden("lawless:order=2,rule=calibrated,effort=best,window=100", WORDS[:120]),
    "proposals-picture": Golden("lawless:order=2,rule=calibrated,stride=24,pixel=3", PICTURE),
    "segments": Golden("backoff:order=2", TEXT + bytes(range(256)) + TEXT, "coded coded stored coded coded coded",
                       {"segment_size": 178}),
    "signal": Golden("signal:stride=24,pixel=3", PICTURE),
    "signal-line": Golden("signal:pixel=2,depth=16", SOUND),
    "stored": Golden("uniform", bytes(range(256)), "stored"),
}  # fmt: skip

OF_OTHER_MIXER = ["mixture", "mixture-law"]
"""Mixtures of versions 2 and 3, in which members did not compete with their mix. They are refused."""

OF_VERSION_3 = [name for name in FILES if name not in OF_OTHER_MIXER]
"""Files of version 3. They hold the same as those of today, that of the shipped network in a longer container."""

OF_OTHER_HISTORY = ["history"]
"""Files of version 2 by ``history`` as it was before what its weights learn in common had a bound. They are refused."""

OF_VERSION_2 = [name for name in OF_VERSION_3 if name not in ("empty", *OF_OTHER_HISTORY)]
"""Files of version 2. They hold the same as those of today, in longer frames."""

OF_VERSION_1 = [
    "backoff", "jobs", "law", "law-window", "llm", "network", "network-lanes", "one-step", "segments",
    "stored",
]  # fmt: skip
"""Files of version 1 that hold the same as those of today."""

REFUSED = {
    "calibrated": ("model:backoff", "the calibrated rule"),
    "calibrated-named": ("model:backoff,rule=calibrated", "the calibrated rule"),
    "mixture": ("backoff:order=1+backoff:order=4", "the mixer"),
}
"""Files of version 1 whose models are others today: their specs, and what is another. The first names no rule."""

FINGERPRINTS = sorted(
    {one.spec for one in FILES.values()}
    | {"backoff", "backoff:order=0", "llm:window=40", "llm+backoff", 'model:"backoff"'}
)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # a spec holds a path as it was given
    monkeypatch.setitem(COMPRESSORS._registered, Lawless.name, Lawless)


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


def golden(name: str, version: int) -> bytes:
    """Return a golden file, after a check that it still decodes."""
    one = FILES[name]
    if one.spec.startswith("llm"):
        pytest.importorskip("torch")
    blob = (GOLDEN / f"v{version}-{name}.cgn").read_bytes()
    assert blob[4] == version
    assert segments(blob) == one.kinds
    assert compgen.decompress(blob, one.given) == one.data
    return blob


@pytest.mark.parametrize("name", FILES)
def test_golden_files_still_decode_and_are_still_written(name: str) -> None:
    blob = golden(name, 4)
    assert written(FILES[name], verify=False) == blob


@pytest.mark.parametrize("name", OF_VERSION_3)
def test_golden_files_of_version_3_still_decode(name: str) -> None:
    blob, now = golden(name, 3), (GOLDEN / f"v4-{name}.cgn").read_bytes()
    assert blob[5:] == now[5:] or (FILES[name].spec.startswith("llm") and len(now) < len(blob))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", OF_OTHER_MIXER)
def test_golden_files_of_another_mixer_are_refused_by_its_name(name: str, version: int) -> None:
    with pytest.raises(IncompatibleError, match=f"by the mixer of format version {version}.*git checkout 1020100"):
        compgen.decompress((GOLDEN / f"v{version}-{name}.cgn").read_bytes(), FILES[name].given)


@pytest.mark.parametrize("name", OF_VERSION_2)
def test_golden_files_of_version_2_still_decode(name: str) -> None:
    blob, now, one = golden(name, 2), (GOLDEN / f"v3-{name}.cgn").read_bytes(), FILES[name]
    assert blob[5:] == now[5:] or len(now) < len(blob), "only short containers are new"
    assert compgen.decompress(now + blob + now, one.given) == one.data * 3


@pytest.mark.parametrize("name", OF_OTHER_HISTORY)
def test_golden_files_of_another_history_are_refused_by_its_name(name: str) -> None:
    with pytest.raises(IncompatibleError, match="history' behaves otherwise here"):
        compgen.decompress((GOLDEN / f"v2-{name}.cgn").read_bytes(), FILES[name].given)


@pytest.mark.parametrize("name", OF_VERSION_1)
def test_golden_files_of_version_1_still_decode(name: str) -> None:
    one = FILES[name]
    if one.spec.startswith("llm"):
        pytest.importorskip("torch")
    blob = (GOLDEN / f"v1-{name}.cgn").read_bytes()
    assert blob[4] == 1
    assert compgen.decompress(blob, one.given) == one.data
    now = (GOLDEN / f"v2-{name}.cgn").read_bytes()
    assert blob[5:] == now[5:], "the model is the same, so only the version differs"
    assert compgen.decompress(now + blob + now, one.given) == one.data * 3


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_golden_files_of_models_that_are_others_today_are_refused_by_name(name: str, given: bool) -> None:
    blob = (GOLDEN / f"v1-{name}.cgn").read_bytes()
    spec, gone = REFUSED[name]
    after = compgen.compress(b"ab" * 40, "backoff")
    for whole in (blob, after + blob):
        with pytest.raises(IncompatibleError, match=rf"{gone} of format version 1.*git checkout b07fe31") as error:
            compgen.decompress(whole, spec if given and whole is blob else None)
        assert f"'{spec}'" in str(error.value)
        assert "\n" not in str(error.value)


def test_every_golden_file_is_tested() -> None:
    names = {f"v4-{name}" for name in FILES} | {f"v3-{name}" for name in FILES}
    names |= {f"v2-{name}" for name in (*OF_VERSION_2, *OF_OTHER_HISTORY, *OF_OTHER_MIXER)}
    names |= {f"v1-{name}" for name in (*OF_VERSION_1, *REFUSED)}
    assert {path.stem for path in GOLDEN.glob("*.cgn")} == names


@pytest.mark.parametrize("spec", FINGERPRINTS)
def test_fingerprints_are_those_that_files_hold(spec: str) -> None:
    """If a fingerprint changed, every file that was written before would be refused."""
    if "llm" in spec:
        pytest.importorskip("torch")
    recorded: dict[str, str] = json.loads((GOLDEN / "fingerprints.json").read_text())
    assert fingerprint(load(spec).resolved(DEFAULT_RULE)).hex() == recorded[spec]

"""What a file may choose, and how a file that another build wrote is refused."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

import compgen
from compgen.coding import container
from compgen.coding.budget import Budget, Work
from compgen.coding.container import ModelFrame, SegmentFrame
from compgen.coding.fingerprint import fingerprint
from compgen.coding.frame_reader import FrameReader
from compgen.coding.trust import load_from_file, model_of
from compgen.compressors import COMPRESSORS
from compgen.compressors.deflate import Gzip
from compgen.errors import CompgenError, CorruptDataError, IncompatibleError, LimitError, UsageError
from compgen.models import CodeLengthModel, State, load
from tests.fuzz.containers import frames

ALL = ["gzip", "zlib", "deflate", "bz2", "xz", "zstd", "zstd-dict", "brotli", "ppmd", "uniform", "backoff"]


def test_a_file_chooses_no_program_no_path_and_nothing_slow(prose: bytes) -> None:
    pytest.importorskip("imagecodecs")
    data = prose[:60] * 6
    for spec in ("command:gzip -9 -n", 'model:"backoff"', "jpegxl:width=16000"):
        blob = compgen.compress(data, spec, verify=False)
        assert isinstance(frames(blob)[0], ModelFrame)
        with pytest.raises((IncompatibleError, LimitError), match="--compressor"):
            compgen.decompress(blob)
        assert compgen.decompress(blob, spec) == data
        with pytest.raises(UsageError, match="written with"):
            compgen.decompress(blob, "backoff")


@dataclasses.dataclass(frozen=True)
class Plugin(Gzip):
    """A compressor that is not of this package."""

    name: ClassVar[str] = "test-plugin"


def test_a_file_chooses_no_plugin(prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMPRESSORS._registered, Plugin.name, Plugin)
    blob = compgen.compress(prose[:100] * 3, Plugin.name)
    with pytest.raises(IncompatibleError, match="no file may choose what is run"):
        compgen.decompress(blob)
    assert compgen.decompress(blob, Plugin.name) == prose[:100] * 3


def forged(spec: str) -> bytes:
    """Return a file that names ``spec`` and whose frames are all sound."""
    out = io.BytesIO()
    writer = container.FrameWriter(out)
    writer.model(ModelFrame(spec, bytes(8), 1, False, "", 24))
    writer.segment(SegmentFrame(5, bytes(12), bytes(8), coded=True), b"12345")
    writer.end()
    return out.getvalue()


def test_forged_specs_run_nothing(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    long = ["a" * 4000, "ppmd:memory=1000", "gzip:window=999999999", "gzip+" * 40 + "gzip"]
    odd = ["gzip:level=77", "nonsense", "", "+", "mixture", 'mixture:"gzip+xz"']
    for spec in (f"command:touch {target}", f"gzip+command:touch {target}", *long, *odd):
        with pytest.raises((IncompatibleError, CorruptDataError, LimitError)):
            compgen.decompress(forged(spec))
    assert not target.exists()


ODD = [
    'ppmd:memory="+65"',
    "ppmd:memory=6_5",
    "gzip:window=1_048_577",
    "xz+ppmd:memory=٦٥",
    'bz2:level=" 9"',
    "xz:level=09",
]


@pytest.mark.parametrize("spec", ODD)
def test_a_number_has_one_spelling(spec: str) -> None:
    """Python's int takes these texts for numbers. A bound on the text once did not, and let them pass."""
    with pytest.raises(IncompatibleError, match="must be a whole number"):
        load_from_file(spec)


def test_frequencies_of_another_sum_are_refused(prose: bytes) -> None:
    named = frames(compgen.compress(prose[:300], "backoff"))[0]
    assert isinstance(named, ModelFrame)
    assert model_of(named, None, Budget(), Work(1, 300, 300)) == load("backoff")
    with pytest.raises(IncompatibleError, match="behaves otherwise here"):
        model_of(dataclasses.replace(named, precision=23), None, Budget(), Work(1, 300, 300))


@pytest.mark.parametrize("spec", ["gzip", "gzip:rule=decoder"])
def test_another_build_is_refused_before_a_byte_is_written(spec: str, prose: bytes, tmp_path: Path) -> None:
    """Under zlib-ng gzip's code lengths differ, and so does the fingerprint."""
    pytest.importorskip("zlib_ng")
    child = """
import sys
if sys.argv[1] == "other":
    from zlib_ng import zlib_ng
    sys.modules["zlib"] = zlib_ng
from compgen.cli import run
sys.exit(run(sys.argv[2:]))
"""
    source, packed, back = tmp_path / "a", tmp_path / "a.cgn", tmp_path / "back"
    source.write_bytes(prose[:600])

    def run(zlib: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", child, zlib, *words], capture_output=True, text=True, check=False)

    assert run("real", "compress", str(source), "-c", spec).returncode == 0
    refused = run("other", "decompress", str(packed), "-o", str(back))
    assert refused.returncode == 1
    assert "behaves otherwise here" in refused.stderr
    assert "zlib" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not back.exists()
    piped = run("other", "decompress", str(packed), "-o", "-")
    assert (piped.returncode, piped.stdout) == (1, "")
    assert run("real", "decompress", str(packed), "-o", str(back)).returncode == 0
    assert back.read_bytes() == source.read_bytes()


def test_models_are_checked_by_what_they_do() -> None:
    derived = [
        spec for spec in ALL if spec not in ("uniform", "backoff", "zlib", "deflate")
    ]  # the last are gzip's stream
    named = [f"{spec}:rule={rule}" for spec in derived for rule in ("calibrated", "decoder")]
    named.remove("bz2:rule=decoder")
    others = ["uniform", "backoff", "backoff:order=3", "bz2:effort=best", "gzip:rule=one-step"]
    digests = {spec: fingerprint(load(spec)) for spec in [*named, *others]}
    assert len(set(digests.values())) == len(digests)


def test_lanes_that_no_code_could_hold_start_no_rows(prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fuzzing found that a small file with a forged number of lanes opened thousands of encoders: half a gigabyte."""
    blob = compgen.compress(prose[:600], "gzip", lanes=2)
    reader = FrameReader(io.BytesIO(blob))
    named = reader.read()
    assert isinstance(named, ModelFrame)
    begin = len(container.MAGIC) + 1
    forged = dataclasses.replace(named, lanes=4096, independent=True).pack()
    hostile = blob[: begin + 1] + forged + blob[begin + 1 + len(forged) :]
    asked: list[int] = []
    start = CodeLengthModel.start

    def counted(model: CodeLengthModel, prompts: Sequence[bytes]) -> State:
        asked.append(len(prompts))
        return start(model, prompts)

    monkeypatch.setattr(CodeLengthModel, "start", counted)
    with pytest.raises(CorruptDataError, match="too short for its lanes"):
        compgen.decompress(hostile)
    assert asked == [], "not even for a fingerprint"


def test_a_spec_that_no_reader_takes_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="4,096 bytes at most"):
        compgen.compress(b"abc", "command:gzip -c " + 5000 * "x")


@pytest.mark.parametrize("spec", ["backoff", "gzip", "gzip:rule=decoder"])
def test_tokens_of_a_model_without_tokens_are_damage(spec: str, prose: bytes) -> None:
    """A segment of bytes that is marked as one of tokens ends in an error of compgen, with torch or without."""
    blob = compgen.compress(prose[:900], spec, lanes=2)
    reader = FrameReader(io.BytesIO(blob))
    named = reader.read()
    assert isinstance(named, ModelFrame)
    place = len(container.MAGIC) + 2 + len(named.pack())
    assert blob[place : place + 1] == b"C"
    with pytest.raises(CorruptDataError, match="codes bytes alone"):
        compgen.decompress(blob[:place] + b"T" + blob[place + 1 :])


GONE = {
    "gzip": "the calibrated rule",
    "bz2+ppmd:rule=decoder": "the mixer",
    "gzip:rule=decoder": "the law of gzip",
    "gzip:effort=best": "the calibrated rule",
    "xz:rule=decoder": "the law of xz",
    "zstd:level=19,rule=decoder": "the law of zstd",
    'model:"gzip:rule=calibrated",rule=one-step': "the calibrated rule",
    'model:"backoff+flac",rule=decoder': "the mixer",
    "model:model:xz,rule=one-step": "the law of xz",
    "command:gzip -9 -n": "the calibrated rule",
}
SAME = [
    "bz2", "bz2:rule=calibrated,effort=best", "ppmd:rule=decoder", "xz:rule=one-step", "backoff",
    'model:"ppmd",rule=decoder', "png:rule=one-step", "no-such-thing", "gzip:",
    "model:" * 600 + "backoff:rule=one-step",
]  # fmt: skip


@pytest.mark.parametrize("spec", GONE)
def test_models_of_version_1_that_are_others_today_are_refused_by_name(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of members of mixtures and of models inside ``model:`` too, and before anything else is asked of the spec."""
    monkeypatch.setattr("compgen.coding.trust.fingerprint", lambda *_: b"another")
    with pytest.raises(IncompatibleError, match=f"by {GONE[spec]} of format version 1.*git checkout") as refused:
        compgen.decompress(aged(forged(spec)))
    assert f"'{spec}'" in str(refused.value)
    with pytest.raises(CompgenError) as other:
        compgen.decompress(forged(spec))
    assert "git checkout" not in str(other.value)


@pytest.mark.parametrize("spec", SAME)
def test_models_of_version_1_that_are_the_same_today_are_not(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.coding.trust.fingerprint", lambda *_: b"another")
    with pytest.raises(CompgenError) as refused:
        compgen.decompress(aged(forged(spec)))
    assert "git checkout" not in str(refused.value)


def aged(blob: bytes) -> bytes:
    """Return a file as if it had version 1."""
    return container.MAGIC + b"\x01" + blob[len(container.MAGIC) + 1 :]


def test_only_versions_1_to_4_are_read(prose: bytes) -> None:
    blob = compgen.compress(prose[:300], "backoff", lanes=2)
    assert compgen.decompress(aged(blob) + blob + aged(blob)) == 3 * prose[:300]
    for version in (b"\x00", b"\x05"):
        with pytest.raises(IncompatibleError, match=f"format version {version[0]}; this compgen reads versions 1 to 4"):
            compgen.decompress(blob + container.MAGIC + version + blob[len(container.MAGIC) + 1 :])


def test_a_file_of_version_1_loads_no_plugin_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMPRESSORS, "get", lambda name: pytest.fail(f"'{name}' is loaded because a file says so"))
    with pytest.raises(IncompatibleError, match="no file may choose what is run"):
        compgen.decompress(aged(forged("plugin-of-somebody")))

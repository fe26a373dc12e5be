"""Files: round trips, overhead, trust, file objects, golden files."""

from __future__ import annotations

import dataclasses
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compgen
from compgen.coding import container
from compgen.coding.container import MAX_LANES, MAX_SEGMENT, EndFrame, FrameReader, ModelFrame, SegmentFrame
from compgen.coding.sizing import SEGMENT, Sizes, sizes
from compgen.coding.writer import Writer
from compgen.errors import CompgenError, CorruptDataError, IncompatibleError, UsageError
from compgen.models import CodeLengthModel, State, load
from compgen.types import Frequencies
from tests.fuzz.kill import kills

ALL = ["gzip", "zlib", "deflate", "bz2", "xz", "zstd", "zstd-dict", "brotli", "ppmd", "uniform", "backoff"]


def frames(blob: bytes) -> list[object]:
    reader = FrameReader(io.BytesIO(blob))
    found: list[object] = []
    while not found or not isinstance(found[-1], EndFrame):
        found.append(reader.read())
    return found


@pytest.mark.parametrize("spec", [*ALL, "gzip+bz2+backoff", "gzip:effort=best", "gzip:rule=one-step,window=300"])
def test_every_spec_round_trips(spec: str, prose: bytes) -> None:
    for data in (b"", b"a", bytes(300), prose[:400], random.Random(5).randbytes(60)):
        assert compgen.decompress(compgen.compress(data, spec)) == data


@given(st.binary(max_size=600), st.sampled_from([1, 7, 100]), st.sampled_from([1, 4]))
@settings(max_examples=60)
def test_segments_and_lanes_round_trip(data: bytes, size: int, lanes: int) -> None:
    out = io.BytesIO()
    with Writer(out, "backoff:order=1", lanes=lanes, segment_size=size) as writer:
        writer.write(data[:5])
        writer.write(data[5:])
    assert writer.written == len(out.getvalue())
    assert compgen.decompress(out.getvalue()) == data


def test_coded_segments_go_on_from_each_other_and_start_anew_after_a_stored_one(prose: bytes) -> None:
    out = io.BytesIO()
    noise = random.Random(1).randbytes(500)
    data = prose[:1000] + noise + prose[:500]
    with Writer(out, "backoff:order=4", segment_size=500) as writer:
        writer.write(data)
    found = frames(out.getvalue())
    segments = [f for f in found if isinstance(f, SegmentFrame)]
    assert [f.coded for f in segments] == [True, True, False, True]
    assert segments[0].body == segments[3].body, "both start with nothing known"
    whole = compgen.compress(data[:1000], "backoff:order=4")
    assert len(segments[0].body) + len(segments[1].body) <= len(whole), "the second goes on from the first"
    assert compgen.decompress(out.getvalue()) == data


def test_a_stored_file_names_no_model_and_has_little_overhead() -> None:
    data = random.Random(2).randbytes(3000)
    one, many = io.BytesIO(), io.BytesIO()
    for out, size in ((one, SEGMENT), (many, 1000)):
        with Writer(out, "uniform", segment_size=size) as writer:
            writer.write(data)
    blob = many.getvalue()
    assert not any(isinstance(f, ModelFrame) for f in frames(blob))
    assert len(one.getvalue()) - len(data) < 64
    assert len(blob) - len(data) < 64 + 2 * 32
    assert len(compgen.compress(b"a")) < 1 + 64
    assert compgen.decompress(blob) == data


def test_jobs_give_the_same_bytes_back(prose: bytes) -> None:
    data = prose[:3000]
    out = io.BytesIO()
    with Writer(out, "backoff", jobs=2, segment_size=500) as writer:
        writer.write(data)
    blob = out.getvalue()
    assert sum(isinstance(f, SegmentFrame) for f in frames(blob)) == 6
    assert compgen.decompress(blob) == compgen.decompress(blob, jobs=2) == data


def test_segments_suit_jobs_and_lanes() -> None:
    model, much = load("backoff:order=0"), 1 << 30
    assert sizes(model, 100_000, 2) == Sizes(1, 50_000)
    assert sizes(model, much, 2) == sizes(model, 100_000, 1) == Sizes(1, SEGMENT)
    assert sizes(model, much, 1, 256) == Sizes(256, SEGMENT)
    assert sizes(model, much, 1, 2048) == Sizes(2048, 8 * SEGMENT), "4 KB a lane"
    assert sizes(model, much, 1, MAX_LANES) == Sizes(MAX_LANES, MAX_SEGMENT)
    data = random.Random(1).randbytes(2 * SEGMENT)
    blob = compgen.compress(data, "uniform", lanes=512)
    assert sum(isinstance(frame, SegmentFrame) for frame in frames(blob)) == 1
    assert compgen.decompress(blob) == data


def test_a_file_chooses_no_program_no_plugin_no_path_and_no_great_memory(prose: bytes) -> None:
    data = prose[:60] * 6
    for spec in ("command:gzip -9 -n", 'model:"backoff"', "ppmd:memory=65", "gzip:window=1048577"):
        blob = compgen.compress(data, spec, verify=False)
        assert isinstance(frames(blob)[0], ModelFrame)
        with pytest.raises(IncompatibleError, match="--compressor"):
            compgen.decompress(blob)
        assert compgen.decompress(blob, spec) == data
        with pytest.raises(UsageError, match="written with"):
            compgen.decompress(blob, "backoff")


def forged(spec: str) -> bytes:
    """A file that names ``spec``, with every checksum right."""
    out = io.BytesIO()
    writer = container.FrameWriter(out)
    writer.model(ModelFrame(spec, bytes(8), 1, False, "", 24))
    writer.segment(SegmentFrame(5, bytes(12), bytes(8), coded=True), b"12345")
    writer.end()
    return out.getvalue()


def test_forged_specs_run_nothing(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    long = [
        "a" * 4000,
        "ppmd:memory=1000",
        "ppmd:memory=+1000",
        "gzip:window=9_999_999",
        "gzip:window=999999999",
        "gzip+" * 40 + "gzip",
    ]
    odd = ["gzip:level=77", "nonsense", "", "+", "mixture", 'mixture:"gzip+xz"']
    for spec in (f"command:touch {target}", f"gzip+command:touch {target}", *long, *odd):
        with pytest.raises((IncompatibleError, CorruptDataError)):
            compgen.decompress(forged(spec))
    assert not target.exists()


def test_another_build_is_refused_before_a_byte_is_written(prose: bytes, tmp_path: Path) -> None:
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

    assert run("real", "compress", str(source)).returncode == 0
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


def test_files_decode_under_other_vector_code_and_threads(prose: bytes, tmp_path: Path) -> None:
    from tests.models.test_calibrated import simd_features

    features = " ".join(simd_features())
    child = "import sys; from compgen.cli import run; sys.exit(run(sys.argv[1:]))"
    settings = [
        {"COMPGEN_THREADS": "2"},
        {"NPY_DISABLE_CPU_FEATURES": features, "OPENBLAS_CORETYPE": "Nehalem", "COMPGEN_THREADS": "1"},
    ]
    source = tmp_path / "source"
    source.write_bytes(prose[:500])
    for number, (writer, reader) in enumerate((settings, settings[::-1])):
        packed, back = tmp_path / f"{number}.cgn", tmp_path / f"{number}.txt"
        for words, environment in (
            (["compress", str(source), "-o", str(packed), "-c", "gzip+zstd-dict+bz2"], writer),
            (["decompress", str(packed), "-o", str(back)], reader),
        ):
            done = subprocess.run([sys.executable, "-c", child, *words], check=False, capture_output=True,
                                  env={**os.environ, **environment})  # fmt: skip
            assert done.returncode == 0, done.stderr
        assert back.read_bytes() == prose[:500]
    assert (tmp_path / "0.cgn").read_bytes() == (tmp_path / "1.cgn").read_bytes()


def test_damage_is_found_and_named(prose: bytes) -> None:
    blob = compgen.compress(prose[:800], "backoff")
    for wrong, message in (
        (b"", "magic number"),
        (b"not a file of ours", "magic number"),
        (blob[:4] + b"\x02" + blob[5:], "format version 2"),
        (blob[: len(blob) // 2], "cut short"),
        (blob[:-1], "cut short"),
        (blob + b"x", "after its end"),
        (blob[:20] + b"\xff" + blob[21:], "checksum of its model"),
    ):
        with pytest.raises(CompgenError, match=message):
            compgen.decompress(wrong)


def test_spliced_segments_are_found(prose: bytes) -> None:
    def written(data: bytes) -> tuple[list[object], bytes]:
        out = io.BytesIO()
        with Writer(out, "backoff", segment_size=300, lanes=2) as writer:
            writer.write(data)
        return frames(out.getvalue()), out.getvalue()

    (model, one, two, end), _ = written(prose[:600])
    (_, other, *_), _ = written(prose[1000:1600])
    kinds = {ModelFrame: b"M", EndFrame: b"E"}
    for order in ([model, two, one, end], [model, one, one, end], [model, one, end], [one, two, end],
                  [model, other, two, end], [model, model, one, two, end]):  # fmt: skip
        letters = [kinds.get(type(frame), b"C") for frame in order]
        bodies = [frame.pack() for frame in order]  # type: ignore[attr-defined]
        blob = container.MAGIC + b"\x01" + b"".join(a + b for a, b in zip(letters, bodies, strict=True))
        with pytest.raises(CorruptDataError):
            compgen.decompress(blob)


def test_a_reader_is_a_file_object(prose: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.cgn"
    data = prose[:1500]
    with compgen.open(path, "wb", "backoff") as out:
        for line in data.splitlines(keepends=True):
            out.write(line)
        assert not path.exists(), "nothing stands under its name before all is written"
    with compgen.open(path) as source:
        assert source.read(10) == data[:10]
        assert source.readline() == data[10:].splitlines(keepends=True)[0]
        assert source.read() == b"".join(data[10:].splitlines(keepends=True)[1:])
    with compgen.open(path, "rb") as source:
        assert io.TextIOWrapper(source, "utf-8").read() == data.decode()
    with pytest.raises(UsageError, match="mode"):
        compgen.open(path, "ab")  # type: ignore[call-overload]
    with pytest.raises(FileNotFoundError):
        compgen.open(tmp_path / "nothing")


def test_a_writer_that_fails_leaves_the_old_file(prose: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.cgn"
    path.write_bytes(b"old")

    def fail() -> None:
        with compgen.open(path, "wb", "backoff") as out:
            out.write(prose[:100])
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.cgn"]


def test_a_model_that_does_not_repeat_itself_is_found_by_verification(prose: bytes) -> None:
    from compgen.models.backoff import Uniform, UniformState

    class Moody(UniformState):
        asked = 0

        def frequencies(self) -> Frequencies:
            """Trust in "a" that grows with every call in this process."""
            Moody.asked += 1
            found = super().frequencies()
            found[:, ord("b")] -= Moody.asked
            found[:, ord("a")] += Moody.asked
            return found

    class MoodyModel(Uniform):
        def start(self, prompts: Sequence[bytes]) -> UniformState:
            return Moody(len(prompts))

    with pytest.raises(CompgenError, match="does not decode"):
        compgen.compress(prose[:400], MoodyModel())


@pytest.mark.parametrize("existed", [False, True])
def test_a_kill_leaves_the_old_file_or_the_new(existed: bool, tmp_path: Path, prose: bytes) -> None:
    """Thirty kills at random moments here; ``python -m tests.fuzz.kill`` does 200 of each."""
    outcomes = kills(30, tmp_path, prose[:400], existed)
    assert sum(outcomes.values()) == 30
    assert outcomes["other"] == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_half_written(sent: signal.Signals, tmp_path: Path, prose: bytes) -> None:
    source = tmp_path / "long"
    source.write_bytes(prose * 10)
    for extra in ([], ["--jobs", "2"]):
        words = [sys.executable, "-m", "compgen", "compress", str(source), *extra]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(3)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130
        assert errors == b"cgn: interrupted\n"
        assert [p.name for p in tmp_path.iterdir()] == ["long"]


def test_numcodecs_knows_it(prose: bytes, tmp_path: Path) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    codec = numcodecs.get_codec({"id": "compgen", "model": "backoff"})
    assert codec.get_config() == {"id": "compgen", "model": "backoff"}
    data = prose[:500]
    assert bytes(codec.decode(codec.encode(data))) == data
    import numpy as np

    array = np.arange(300, dtype="<i4").reshape(20, 15)
    back = np.empty_like(array)
    codec.decode(codec.encode(array), out=back)
    assert np.array_equal(back, array)
    with pytest.raises(IncompatibleError):
        numcodecs.get_codec({"id": "compgen", "model": f"command:touch {tmp_path / 'touched'}"})
    assert not any(tmp_path.iterdir())


def test_models_are_checked_by_what_they_do() -> None:
    from compgen.coding.fingerprint import fingerprint

    digests = {
        spec: fingerprint(load(spec)) for spec in [*ALL, "backoff:order=3", "gzip:effort=best", "gzip:rule=one-step"]
    }
    digests.pop("zlib"), digests.pop("deflate")  # gzip's stream, with other headers
    assert len(set(digests.values())) == len(digests)


def test_lanes_that_no_code_could_hold_start_no_rows(prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by fuzzing: a forged number of lanes made a small file open thousands of encoders, half a gigabyte."""
    blob = compgen.compress(prose[:600], "gzip")
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


@pytest.mark.parametrize("spec", ["backoff", "gzip"])
def test_tokens_of_a_model_without_tokens_are_damage(spec: str, prose: bytes) -> None:
    """The letter of a token segment, before the code of one of bytes: an error of ours, with torch or without."""
    blob = compgen.compress(prose[:600], spec)
    reader = FrameReader(io.BytesIO(blob))
    named = reader.read()
    assert isinstance(named, ModelFrame)
    place = len(container.MAGIC) + 2 + len(named.pack())
    assert blob[place : place + 1] == b"C"
    with pytest.raises(CorruptDataError, match="codes bytes alone"):
        compgen.decompress(blob[:place] + b"T" + blob[place + 1 :])

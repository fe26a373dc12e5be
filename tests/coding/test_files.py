"""Whole files: round trips, overhead, file objects, and what an interrupt leaves behind."""

from __future__ import annotations

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
from compgen.coding.container import ModelFrame, SegmentFrame
from compgen.coding.sizing import SEGMENT
from compgen.coding.writer import Writer
from compgen.compressors import COMPRESSORS
from compgen.errors import CompgenError, UsageError
from compgen.models import load
from compgen.types import Frequencies
from tests.fuzz.containers import frames
from tests.fuzz.kill import kills

ALL = ["gzip", "zlib", "deflate", "bz2", "xz", "zstd", "zstd-dict", "brotli", "ppmd", "uniform", "backoff"]


LAWS = [
    "gzip",
    "zlib:window=150",
    "deflate",
    "xz",
    "zstd",
    "zstd-dict",
    "ppmd:memory=1",
    "null",
    "gzip+ppmd:memory=1+backoff",
]


@pytest.mark.parametrize("spec", [*ALL, "gzip+bz2+backoff", "bz2:effort=best", "gzip:rule=one-step,window=300"])
def test_every_spec_round_trips(spec: str, prose: bytes) -> None:
    for data in (b"", b"a", bytes(300), prose[:400], random.Random(5).randbytes(60)):
        assert compgen.decompress(compgen.compress(data, spec)) == data


@pytest.mark.parametrize("spec", LAWS)
def test_every_law_round_trips(spec: str, prose: bytes) -> None:
    model = load(spec).resolved("decoder")
    for data in (b"", b"a", bytes(300), prose[:700], random.Random(5).randbytes(60)):
        for lanes in (1, 3):
            assert compgen.decompress(compgen.compress(data, model, lanes=lanes)) == data


def test_files_name_the_rule_and_calibrated_if_none_is_named(prose: bytes) -> None:
    """Under every way to name a compressor; a reader may be told the model with the rule or without."""
    data = prose[:400]
    for asked, named in (
        ("gzip", "gzip:rule=calibrated"),
        (COMPRESSORS.build("gzip"), "gzip:rule=calibrated"),
        (load("gzip"), "gzip:rule=calibrated"),
        ("gzip:rule=decoder", "gzip:rule=decoder"),
        ("bz2+gzip:rule=decoder+backoff", "bz2:rule=calibrated+gzip:rule=decoder+backoff"),
    ):
        blob = compgen.compress(data, asked)
        model = frames(blob)[0]
        assert isinstance(model, ModelFrame)
        assert model.spec == named
        assert compgen.decompress(blob) == compgen.decompress(blob, named) == compgen.decompress(blob, asked) == data
    for blob, other in (
        (compgen.compress(data, "gzip"), "gzip:rule=decoder"),
        (compgen.compress(data, "gzip:rule=decoder"), "gzip"),
    ):
        with pytest.raises(UsageError, match="written with 'gzip:rule="):
            compgen.decompress(blob, other)


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


def test_files_decode_under_other_vector_code_and_threads(prose: bytes, tmp_path: Path) -> None:
    from tests.models.test_portability import simd_features

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
            (
                [
                    "compress",
                    str(source),
                    "-o",
                    str(packed),
                    "-c",
                    "gzip+bz2+zstd-dict:rule=decoder+xz:rule=decoder+flac:rule=decoder",
                ],
                writer,
            ),
            (["decompress", str(packed), "-o", str(back)], reader),
        ):
            done = subprocess.run([sys.executable, "-c", child, *words], check=False, capture_output=True,
                                  env={**os.environ, **environment})  # fmt: skip
            assert done.returncode == 0, done.stderr
        assert back.read_bytes() == prose[:500]
    assert (tmp_path / "0.cgn").read_bytes() == (tmp_path / "1.cgn").read_bytes()


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
    from compgen.models.uniform import Uniform, UniformState

    class Moody(UniformState):
        asked = 0

        def frequencies(self) -> Frequencies:
            """Return a probability of "a" that grows with every call in this process."""
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
    """Kill thirty times at random moments. ``python -m tests.fuzz.kill`` kills 200 times."""
    outcomes = kills(30, tmp_path, prose[:400], existed)
    assert outcomes.pop("swept") > 0
    assert sum(outcomes.values()) == 30
    assert outcomes["other"] == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_half_written(sent: signal.Signals, tmp_path: Path, prose: bytes) -> None:
    source = tmp_path / "long"
    source.write_bytes(prose * 200)  # takes over half a minute
    for extra in ([], ["--jobs", "2"]):
        words = [sys.executable, "-m", "compgen", "compress", "-q", str(source), *extra]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(3)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 128 + sent
        assert errors == b"cgn: interrupted\n"
        assert [p.name for p in tmp_path.iterdir()] == ["long"]

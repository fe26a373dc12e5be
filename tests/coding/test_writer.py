"""How a file is cut into segments and lanes, and that every way to write it gives the same bytes."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compgen
from compgen.cli import run
from compgen.coding.container import MAX_LANES, MAX_SEGMENT, ModelFrame, SegmentFrame
from compgen.coding.segmenter import Segmenter
from compgen.coding.sizing import SEGMENT, Sizes, sizes
from compgen.coding.writer import Writer
from compgen.models import MODELS, State, load
from compgen.models.language import LanguageModel
from tests.fuzz.containers import frames


@dataclass(frozen=True)
class Stub(LanguageModel):
    """A language model without a network. As for every language model, its lanes depend on the size of the file."""

    name: ClassVar[str] = "test-language-model"

    @property
    def most_lanes(self) -> int:
        return 3

    def start(self, prompts: Sequence[bytes]) -> State:
        return load("backoff:order=0").start(prompts)


class Floats(Stub):
    """The same model, which says that floats decide."""

    name: ClassVar[str] = "test-floats"

    @property
    def reproducible(self) -> bool:
        return False


LANE = 256
"""Bytes that a lane gets at least in these tests: few, so that the tests are quick."""


@pytest.fixture(autouse=True)
def _stubs_have_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Stub, Floats):
        monkeypatch.setitem(MODELS._registered, model.name, model)


@pytest.fixture
def _short_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.coding.sizing.WORTH_A_LANE", LANE)


def lanes(blob: bytes) -> int:
    return next(frame.lanes for frame in frames(blob) if isinstance(frame, ModelFrame))


def test_segments_suit_jobs_and_lanes() -> None:
    model, much = load("backoff:order=0"), 1 << 30
    assert sizes(model, 100_000, 2) == Sizes(1, 50_000)
    assert sizes(model, 20_001, 2) == Sizes(1, 1 << 14), "at least 16 KB a job"
    assert sizes(model, 100_001, 2) == Sizes(1, 50_001), "no third segment for the last byte"
    assert sizes(model, much, 2) == sizes(model, 100_000, 1) == Sizes(1, SEGMENT)
    assert sizes(model, much, 1, 256) == Sizes(256, SEGMENT)
    assert sizes(model, much, 1, 2048) == Sizes(2048, 8 * SEGMENT), "4 KB a lane"
    assert sizes(model, much, 1, MAX_LANES) == Sizes(MAX_LANES, MAX_SEGMENT)
    assert sizes(Floats(), much) == Sizes(3, 1 << 17), "checksums lie closer where floats decide"
    data = random.Random(1).randbytes(2 * SEGMENT)
    blob = compgen.compress(data, "uniform", lanes=512)
    assert sum(isinstance(frame, SegmentFrame) for frame in frames(blob)) == 1
    assert compgen.decompress(blob) == data


def test_lanes_suit_a_segment_and_not_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stub, "most_lanes", 100)
    assert sizes(Stub(), 100_000, jobs=4) == Sizes(6, 25_000)


@pytest.mark.usefixtures("_short_lanes")
@pytest.mark.parametrize("spec", [Stub.name, Floats.name])
@pytest.mark.parametrize(("size", "expected"), [(200, 1), (2 * LANE, 2), (4 * LANE + 1, 3)])
def test_every_way_to_write_a_file_gives_the_same_bytes(
    spec: str, size: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file object does not know the total beforehand, and once wrote one lane where the others wrote several."""
    source = tmp_path / "source"
    source.write_bytes((b"a sea shell " * size)[:size])
    blob = compgen.compress(source.read_bytes(), spec)
    assert lanes(blob) == expected
    assert compgen.decompress(blob, spec) == source.read_bytes()

    with compgen.open(tmp_path / "object", "wb", spec) as writer:
        for begin in range(0, size, 77):
            writer.write(source.read_bytes()[begin : begin + 77])
    assert run(["compress", str(source), "-o", str(tmp_path / "file"), "-c", spec]) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(source.open("rb")))
    assert run(["compress", "-", "-o", str(tmp_path / "pipe"), "-c", spec]) == 0
    sys.stdin.close()
    for way in ("object", "file", "pipe"):
        assert (tmp_path / way).read_bytes() == blob, way


@pytest.mark.usefixtures("_short_lanes")
def test_a_writer_holds_back_little_and_then_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 2 * LANE
    for module in ("segmenter", "sizing", "writer"):
        monkeypatch.setattr(f"compgen.coding.{module}.MAX_SEGMENT", most)
    data, piece = b"she sells " * most, most // 8
    written, out = [], io.BytesIO()
    with Writer(out, Stub()) as writer:
        begun = writer.written
        for begin in range(0, 3 * most, piece):
            writer.write(data[begin : begin + piece])
            assert len(writer._segmenter._pending) < most
            written.append(writer.written)
    # Nothing is written before the number of lanes is decided; from then on, each full segment at once.
    assert [place for place, (a, b) in enumerate(zip([begun, *written], written, strict=False)) if b > a] == [7, 15, 23]
    assert lanes(out.getvalue()) == 2
    assert compgen.decompress(out.getvalue(), Stub()) == data[: 3 * most]
    assert compgen.compress(data[: 3 * most], Stub()) == out.getvalue()


def cut(segmenter: Segmenter, data: bytes) -> tuple[list[bytes], int]:
    """The segments of a stream that comes in small pieces, and how many are given back before it ends."""
    found: list[bytes] = []
    for begin in range(0, len(data), 100):
        segmenter.append(memoryview(data)[begin : begin + 100])
        found += segmenter.full_segments()
    early = len(found)
    segmenter.end()
    return [*found, *segmenter.full_segments(), segmenter.last_segment()], early


@pytest.mark.parametrize("spec", ["uniform", Stub.name])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("chosen", [None, 2])
def test_a_stream_is_cut_as_a_file_is_whose_size_is_known(spec: str, jobs: int, chosen: int | None) -> None:
    data, model = bytes(40_001), load(spec)
    known = Segmenter(model, jobs=jobs, lanes=chosen, total=len(data))
    unknown = Segmenter(model, jobs=jobs, lanes=chosen)
    assert cut(known, data)[0] == cut(unknown, data)[0]
    assert known.lanes == unknown.lanes


@pytest.mark.usefixtures("_short_lanes")
def test_a_stream_too_long_to_hold_back_is_cut_as_a_long_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("segmenter", "sizing"):
        monkeypatch.setattr(f"compgen.coding.{module}.MAX_SEGMENT", 2 * LANE)
    monkeypatch.setattr("compgen.coding.sizing._LEAST_OF_A_JOB", LANE)
    data = bytes(9 * LANE)
    known, unknown = Segmenter(Stub(), jobs=2, total=len(data)), Segmenter(Stub(), jobs=2)
    assert cut(known, data)[0] == cut(unknown, data)[0]
    assert known.lanes == unknown.lanes == 2


@pytest.mark.parametrize(
    ("spec", "jobs", "chosen", "early"),
    [
        ("uniform", 1, None, 3),
        (Stub.name, 1, 2, 3),
        (Floats.name, 1, 2, 2),  # the byte after a segment is awaited: it may belong to the last character
        ("uniform", 2, None, 0),
        (Stub.name, 1, None, 0),
    ],
)
def test_a_stream_is_held_back_only_if_its_size_decides_something(
    spec: str, jobs: int, chosen: int | None, early: int
) -> None:
    segmenter = Segmenter(load(spec), jobs=jobs, lanes=chosen, segment_size=100)
    assert cut(segmenter, bytes(300))[1] == early


@given(st.text("aé日🙂", max_size=60), st.integers(1, 9), st.sampled_from([Stub, Floats]))
@settings(max_examples=80)
def test_segments_are_the_stream_and_characters_stay_whole(text: str, size: int, model: type[Stub]) -> None:
    data = text.encode()
    segmenter = Segmenter(model(), segment_size=size)
    found: list[bytes] = []
    for byte in data:
        segmenter.append(memoryview(bytes([byte])))
        found += segmenter.full_segments()
    assert found == [], "as long as the total is not known"
    segmenter.end()
    found += segmenter.full_segments()
    last = segmenter.last_segment()
    assert b"".join(found) + last == data
    assert all(len(one) <= size for one in [*found, last])
    if model is Stub:
        assert all(len(one) == size for one in found)
    elif size >= 4:
        for one in [*found, last]:
            one.decode()

"""Damaged files are refused with a message that says what is wrong, and sound ones are read in order."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

import compgen
from compgen.coding import container
from compgen.coding.container import EndFrame, Frame, ModelFrame, SegmentFrame
from compgen.coding.writer import Writer
from compgen.errors import CompgenError, CorruptDataError
from tests.fuzz.containers import frames


def test_damage_is_found_and_named(prose: bytes) -> None:
    for blob in (compgen.compress(prose[:800], "backoff"), in_segments(prose[:800])):
        for wrong, message in (
            (b"", "magic number"),
            (b"not a file of ours", "magic number"),
            (blob[:4] + b"\x05" + blob[5:], "format version 5"),
            (blob[: len(blob) // 2], "cut short"),
            (blob[:-1], "cut short"),
            (blob + b"x", "follow the end of the file"),
            (blob[:9] + b"\xff" + blob[10:], "checksum of its model"),
        ):
            with pytest.raises(CompgenError, match=message):
                compgen.decompress(wrong)


def test_no_bit_of_a_short_file_may_change(prose: bytes) -> None:
    """Of any other file, the bits of the versions may."""
    for data in (b"", b"a", prose[:60], bytes(40)):
        blob = compgen.compress(data, "backoff")
        assert len(blob) < 64 + len(data) // 2
        for bit in range(8 * len(blob)):
            wrong = bytearray(blob)
            wrong[bit // 8] ^= 1 << bit % 8
            with pytest.raises(CompgenError):
                compgen.decompress(bytes(wrong))
        for end in range(len(blob)):
            with pytest.raises(CompgenError):
                compgen.decompress(blob[:end])


def test_short_containers_stand_alone(prose: bytes) -> None:
    short = compgen.compress(b"ab" * 40, "backoff")
    assert short[5:6] == b"c"
    for letter in (b"s", b"c", b"e"):
        version_2 = container.MAGIC + b"\x02" + letter + short[6:]
        after_another = in_segments(prose[:600])[: -container.END_SIZE] + letter + short[6:]
        for wrong in (version_2, after_another):
            with pytest.raises(CorruptDataError, match="no frame begins where one should"):
                compgen.decompress(wrong)


def in_segments(data: bytes) -> bytes:
    """Return a file of several segments."""
    out = io.BytesIO()
    with Writer(out, "backoff", segment_size=300) as writer:
        writer.write(data)
    return out.getvalue()


def test_spliced_segments_are_found(prose: bytes) -> None:
    def written(data: bytes) -> tuple[list[Frame], bytes]:
        out = io.BytesIO()
        with Writer(out, "backoff", segment_size=300, lanes=2) as writer:
            writer.write(data)
        return frames(out.getvalue()), out.getvalue()

    (model, one, two, end), _ = written(prose[:600])
    (_, other, *_), _ = written(prose[1000:1600])
    kinds: dict[type, bytes] = {ModelFrame: b"M", EndFrame: b"E"}
    for order in ([model, two, one, end], [model, one, one, end], [model, one, end], [one, two, end],
                  [model, other, two, end], [model, model, one, two, end]):  # fmt: skip
        letters = [kinds.get(type(frame), b"C") for frame in order]
        bodies = [frame.pack() for frame in order]
        blob = container.MAGIC + b"\x01" + b"".join(a + b for a, b in zip(letters, bodies, strict=True))
        with pytest.raises(CorruptDataError):
            compgen.decompress(blob)


def test_containers_that_follow_one_another_decode_to_all_their_data(prose: bytes, tmp_path: Path) -> None:
    """As gzip's, xz's and zstd's files do: cat a.cgn b.cgn | cgn decompress."""
    datas = [prose[:500], b"", prose[500:700] + bytes(300), b"x", random.Random(1).randbytes(200)]
    specs = ["backoff", "gzip", "gzip:rule=decoder", "uniform", "backoff"]
    out = io.BytesIO()
    for data, spec in zip(datas, specs, strict=True):
        with Writer(out, spec, segment_size=200) as writer:
            writer.write(data)
    joined, whole = out.getvalue(), b"".join(datas)
    assert compgen.decompress(joined) == compgen.decompress(joined, jobs=2) == whole
    done: list[int] = []
    assert compgen.decompress(joined + joined, watch=done.append) == whole + whole
    assert done[-1] == 2 * len(whole)
    path = tmp_path / "joined.cgn"
    path.write_bytes(joined)
    with compgen.open(path) as file:
        assert file.read(600) == whole[:600]
        assert file.read() == whole[600:]


def test_damage_in_a_later_container_is_found(prose: bytes) -> None:
    one, two = compgen.compress(prose[:300], "backoff"), compgen.compress(prose[300:700], "backoff")
    for wrong, message in (
        (one + two[:-1], "cut short"),
        (one + two[:3], "follow the end of the file"),
        (one + two[:4], "cut short"),
        (one + bytes(9), "follow the end of the file"),
        (one + two[:4] + b"\x05" + two[5:], "format version 5"),
        (one + two[:60] + b"\xff" + two[61:], "damaged"),
        (one[:-25] + two, "damaged|cut short"),
    ):
        with pytest.raises(CompgenError, match=message):
            compgen.decompress(wrong)
    with pytest.raises(CompgenError, match="written with 'backoff'"):
        compgen.decompress(compgen.compress(prose[:300], "backoff:order=3") + two, "backoff:order=3")


def test_several_jobs_read_what_one_job_wrote(prose: bytes) -> None:
    """A coded segment once came before the stored segment ahead of it, and a sound file was called damaged."""
    data = prose[:900] + random.Random(1).randbytes(600) + prose[900:1800]
    out = io.BytesIO()
    with Writer(out, "backoff:order=2", segment_size=300) as writer:
        writer.write(data)
    kinds = [frame.coded for frame in frames(out.getvalue()) if isinstance(frame, SegmentFrame)]
    assert kinds == [True, True, True, False, False, True, True, True]
    assert compgen.decompress(out.getvalue(), jobs=2) == data

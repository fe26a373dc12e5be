from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compgen.errors import UsageError
from compgen.evaluation import made
from compgen.evaluation.data import Bytes, DataSet, Piece, SetConfig


def joined(data: DataSet, begin: int, size: int) -> bytes:
    return b"".join(piece.read() for piece in data.cut(begin, size))


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5), st.data())
def test_files_in_a_row_read_as_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    for number, part in enumerate(parts):
        (folder / f"{number}.bin").write_bytes(part)
    found = SetConfig("parts", paths=(".",)).open(str(folder), 0)
    whole = b"".join(parts)
    assert found.size == len(whole)
    begin = data.draw(st.integers(0, len(whole) - 1))
    size = data.draw(st.integers(1, len(whole) - begin))
    assert joined(found, begin, size) == whole[begin : begin + size]


def test_images_are_cut_to_gray_patches_by_the_papers_rule(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(1).integers(0, 256, (7, 11, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no image")
    found = SetConfig("images", loader="images", paths=("",), height=3, width=4).open(str(tmp_path), 0)
    expected = bytearray()
    for row in range(2):
        for column in range(2):
            for y in range(3):
                for x in range(4):
                    expected.append(math.floor(pixels[3 * row + y, 4 * column + x].astype(int).sum() / 3))
    assert found.size == 48
    assert joined(found, 0, 48) == bytes(expected)
    assert joined(found, 13, 20) == bytes(expected)[13:33]


def test_speech_keeps_the_high_byte_and_whole_chunks(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path / "1688/142285"  # as LibriSpeech lays it out
    folder.mkdir(parents=True)
    samples = np.random.default_rng(1).integers(-32768, 32768, 1000).astype(np.int16)
    soundfile.write(folder / "1688-142285-0000.flac", samples, 16_000)
    found = SetConfig("speech", loader="speech", paths=("",), align=300).open(str(tmp_path), 0)
    assert found.size == 900
    assert joined(found, 250, 650) == bytes((int(x) + 32768) // 256 for x in samples[250:900])


def whole(config: SetConfig, root: Path) -> bytes:
    found = config.open(str(root), 0)
    return joined(found, 0, found.size)


def test_a_damaged_picture_or_sound_is_named(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    soundfile = pytest.importorskip("soundfile")
    image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40), np.uint8)).save(tmp_path / "whole.png")
    soundfile.write(tmp_path / "whole.flac", np.zeros(9000, np.int16), 16_000)
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    (tmp_path / "cut.flac").write_bytes((tmp_path / "whole.flac").read_bytes()[:60])
    (tmp_path / "other.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nquit\n")
    (tmp_path / "other.flac").write_bytes(b"no sound")
    for name in ("cut.png", "other.png", "cut.flac", "other.flac"):
        loader = "images" if name.endswith("png") else "speech"
        config = SetConfig("s", loader=loader, paths=(name,), height=4, width=4, align=1)
        with pytest.raises(UsageError, match=f"{name}' is damaged, or no .*take it out of the set"):
            whole(config, tmp_path)


def test_pictures_of_16_bits_and_sound_of_floats_keep_the_high_byte(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    soundfile = pytest.importorskip("soundfile")
    levels = np.random.default_rng(1).integers(0, 65536, (3, 4)).astype(np.uint16)
    image.fromarray(levels).save(tmp_path / "a.png")
    found = SetConfig("images", loader="images", paths=("a.png",), height=3, width=4).open(str(tmp_path), 0)
    assert joined(found, 0, 12) == (levels >> 8).astype(np.uint8).tobytes()
    samples = levels.reshape(-1).astype(np.int32) - 32768
    soundfile.write(tmp_path / "a.wav", samples / 32768, 16_000, subtype="FLOAT")
    found = SetConfig("speech", loader="speech", paths=("a.wav",), align=1).open(str(tmp_path), 0)
    assert joined(found, 0, 12) == (levels >> 8).astype(np.uint8).tobytes()


def test_a_sample_of_files_is_drawn_by_the_seed(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").write_bytes(bytes([number]))
    drawn = [SetConfig("s", paths=("",), files=count).open(str(tmp_path), 3) for count in (4, 4, 9)]
    first, again, more = (joined(data, 0, data.size) for data in drawn)
    assert first == again
    assert set(first) < set(more)
    other = SetConfig("s", paths=("",), files=4).open(str(tmp_path), 4)
    assert joined(other, 0, 4) != first


@pytest.mark.parametrize("kind", made.KINDS)
def test_made_data_can_be_read_anywhere(kind: str) -> None:
    config = SetConfig("m", loader="random" if kind == "random" else "bytes", made=kind, size=3 * made.BLOCK)
    found = config.open(None, 5)
    whole = joined(found, 0, found.size)
    assert len(whole) == found.size
    assert joined(found, made.BLOCK - 10, 20) == whole[made.BLOCK - 10 : made.BLOCK + 10]
    assert whole[: made.BLOCK] != whole[made.BLOCK : 2 * made.BLOCK]
    assert joined(config.open(None, 6), 0, 1000) != whole[:1000]


def test_a_missing_set_says_where_to_get_it(tmp_path: Path) -> None:
    config = SetConfig("enwik8", paths=("text/enwik8",), get="mattmahoney.net/dc/enwik8.zip")
    with pytest.raises(UsageError, match=r"no '.*text/enwik8'.*mattmahoney"):
        config.open(str(tmp_path), 0)
    with pytest.raises(UsageError, match="--data DIR"):
        config.open(None, 0)
    with pytest.raises(UsageError, match=r"\.flac"):
        SetConfig("speech", loader="speech", paths=("",)).open(str(tmp_path), 0)


def test_a_file_that_shrank_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    piece = Piece(Bytes(), str(tmp_path / "a"), 2, 3)
    assert piece.read() == b"345"
    (tmp_path / "a").write_bytes(b"123")
    with pytest.raises(UsageError, match="has changed"):
        piece.read()


def test_remote_paths_are_fsspecs() -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe({"/cgn/set/b": b"world", "/cgn/set/a": b"hello "})
    for path in ("set", "set/a"):
        found = SetConfig("far", paths=(path,)).open("memory://cgn", 0)
        assert joined(found, 0, found.size) == (b"hello world" if path == "set" else b"hello ")
    assert joined(SetConfig("far", paths=("set",)).open("memory://cgn", 0), 4, 4) == b"o wo"


@pytest.fixture
def counted() -> tuple[dict[str, bytes], list[tuple[int, int]]]:
    """A remote file system ``counted://``: its files, by path, and the stretches that were fetched, (begin, end)."""
    fsspec = pytest.importorskip("fsspec")
    spec = pytest.importorskip("fsspec.spec")
    file_base: Any = spec.AbstractBufferedFile
    system_base: Any = spec.AbstractFileSystem
    files: dict[str, bytes] = {}
    fetched: list[tuple[int, int]] = []

    class File(file_base):  # type: ignore[misc]
        def _fetch_range(self, begin: int, end: int) -> bytes:
            fetched.append((begin, min(end, self.size)))
            return files[self.path][begin:end]

    class System(system_base):  # type: ignore[misc]
        protocol = "counted"
        cachable = False

        def info(self, path: str, **rest: object) -> dict[str, object]:
            if path not in files:
                raise FileNotFoundError(path)
            return {"name": path, "size": len(files[path]), "type": "file"}

        def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **rest: object) -> File:
            return File(self, path, mode, block_size or "default", **rest)

    fsspec.register_implementation("counted", System, clobber=True)
    return files, fetched


Counted = tuple[dict[str, bytes], list[tuple[int, int]]]


def test_of_a_remote_file_only_what_is_read_is_fetched(counted: Counted) -> None:
    """Ten bytes of a remote file of 5 MB once fetched all of it."""
    files, fetched = counted
    files["set/a.bin"] = np.random.default_rng(1).bytes(5_000_000)
    found = SetConfig("far", paths=("a.bin",)).open("counted://set", 0)
    assert (found.size, fetched) == (5_000_000, [])
    assert joined(found, 1_234_567, 10) == files["set/a.bin"][1_234_567:1_234_577]
    assert fetched == [(1_234_567, 1_234_577)]


def test_the_size_of_a_remote_picture_takes_its_header_alone(counted: Counted, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    files, fetched = counted
    pixels = np.random.default_rng(1).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    files["set/a.png"] = (tmp_path / "a.png").read_bytes()
    config = SetConfig("images", loader="images", paths=("a.png",), height=32, width=64)
    far, near = config.open("counted://set", 0), config.open(str(tmp_path), 0)
    assert far.size == near.size
    assert sum(end - begin for begin, end in fetched) < 100_000 < len(files["set/a.png"]) // 10
    fetched.clear()
    assert joined(far, 5000, 3000) == joined(near, 5000, 3000)
    assert sum(end - begin for begin, end in fetched) < 1.2 * len(files["set/a.png"])


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_stretch_of_remote_sound_is_found_by_seeking(counted: Counted, tmp_path: Path, suffix: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    files, fetched = counted
    samples = np.random.default_rng(1).integers(-32768, 32768, 1_000_000).astype(np.int16)
    soundfile.write(tmp_path / f"a.{suffix}", samples, 16_000)
    files[f"set/a.{suffix}"] = (tmp_path / f"a.{suffix}").read_bytes()
    config = SetConfig("speech", loader="speech", paths=(f"a.{suffix}",))
    far, near = config.open("counted://set", 0), config.open(str(tmp_path), 0)
    assert joined(far, 700_000, 2000) == joined(near, 700_000, 2000)
    assert sum(end - begin for begin, end in fetched) < len(files[f"set/a.{suffix}"])
    assert far.size == near.size


def test_a_set_that_is_no_set_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'images'"):
        SetConfig("x", loader="image")
    with pytest.raises(UsageError, match="1 or more"):
        SetConfig("x", width=0)

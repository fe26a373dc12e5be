"""Runs of studies: results are right to the byte, also after a stop, and a wrong config is refused in one line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from compgen.coding.container import SegmentFrame
from compgen.coding.frame_reader import FrameReader
from compgen.coding.model_compressor import ModelCompressor
from compgen.coding.writer import Writer
from compgen.errors import CompgenError, UsageError
from compgen.evaluation import engines, report
from compgen.evaluation.engines import Done
from compgen.evaluation.run import Run, evaluate
from compgen.evaluation.shards import Shard
from compgen.evaluation.studies.base import Place, opened
from compgen.models import load
from tests.conftest import ROOT
from tests.conftest import Run as Cgn

CONFIG = """
version = 1
study = "table"
title = "A small table"
seed = 3
lengths = [0, 512]
shard = 4096
decoded = 3

[[sets]]
name = "text"
paths = ["a.txt", "b.txt"]
mapping = "clear"
paper = "enwik9"

[[sets]]
name = "noise"
loader = "random"
size = 5000

[[rows]]
name = "gzip"
spec = "gzip"
paper = "gzip"

[[rows]]
name = "LZMA2"
spec = "xz"

[[rows]]
name = "bz2"
spec = "bz2"

[[rows]]
name = "counts"
spec = "backoff:order=2"
lengths = [512]
bytes = 2048
shard = 1024
decoded = 1
"""


@pytest.fixture
def folder(tmp_path: Path, prose: bytes) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_bytes(prose[:3000])
    (tmp_path / "data/b.txt").write_bytes("Über Öl. ".encode() * 100 + prose[3000:7000])
    (tmp_path / "small.toml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, out: str = "out", jobs: int = 1, **options: object) -> Run:
    engine = engines.engine("local", jobs)
    return evaluate(str(folder / "small.toml"), folder / out, engine, root=str(folder / "data"), **options)  # type: ignore[arg-type]


def chunks(data: bytes, length: int) -> list[bytes]:
    return [data[i : i + length] for i in range(0, len(data) - length + 1, length)]


def test_classical_rows_equal_an_independent_computation(folder: Path) -> None:
    """The expected values use nothing of compgen: Python's own modules, loops, and the formulas of the accounting."""
    rates = run(folder).study.rates(run(folder, "again").records)
    data = (folder / "data/a.txt").read_bytes() + (folder / "data/b.txt").read_bytes()

    def raw_lzma(chunk: bytes) -> bytes:
        size = 1 << max(12, (len(chunk) - 1).bit_length())
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size}]
        return b"." + lzma.compress(chunk, format=lzma.FORMAT_RAW, filters=filters)

    own: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda chunk: gzip.compress(chunk, 9, mtime=0),
        "LZMA2": raw_lzma,
        "bz2": bz2.compress,
    }
    code = own | {"LZMA2": lzma.compress}
    for name in own:
        for length, parts in ((0, [data]), (512, chunks(data, 512))):
            found = rates[name, "text", length]
            raw = sum(map(len, parts))
            assert (found.chunks, found.raw) == (len(parts), raw)
            assert found.written == sum(len(own[name](part)) for part in parts)
            assert found.decoded == min(3, len(parts))
            header = len(code[name](b"\0"))
            published = sum(len(code[name](part)) for part in parts) - header * (len(parts) - 1)
            assert found.paper_code == pytest.approx(published / raw)
            masked = [bytes(value & 127 for value in part) for part in parts]
            lost = sum(value > 127 for part in parts for value in part)
            assert lost > 100
            seven = sum(len(code[name](part)) for part in masked) * 8 * raw / (8 * raw - lost)
            assert found.paper_seven == pytest.approx((seven - header * (len(parts) - 1)) / raw)


def test_a_models_row_is_the_chain_rule_and_its_coder(folder: Path) -> None:
    result = run(folder)
    found = result.study.rates(result.records)["counts", "text", 512]
    assert (found.raw, found.chunks, found.decoded) == (2048, 4, 1)
    data = (folder / "data/a.txt").read_bytes() + (folder / "data/b.txt").read_bytes()
    numbers = sorted(np.random.default_rng([3, zlib.crc32(b"text")]).permutation(len(data) // 512)[:4])
    model = load("backoff:order=2")
    coder = ModelCompressor(model)
    bits = written = 0.0
    for number in numbers:
        chunk = data[512 * number :][:512]
        state = model.start([b""])
        for symbol in chunk:
            bits -= float(state.log2_probs()[0, symbol])
            state.extend(np.array([symbol], dtype=np.uint8))
        written += len(coder.compress(chunk)) - 8 + 17  # a segment's frame in place of the blob's head
    assert found.bits == pytest.approx(bits, abs=0.01)
    assert found.written == written
    out = io.BytesIO()
    with Writer(out, model, total=1024, segment_size=512) as writer:
        writer.write(data[:1024])
    frames = FrameReader(io.BytesIO(out.getvalue()))
    pair = [frame.size for frame in (frames.read() for _ in range(3)) if isinstance(frame, SegmentFrame)]
    assert len(pair) == 2
    assert found.once == len(out.getvalue()) - sum(pair)


def test_results_are_equal_however_they_came(folder: Path) -> None:
    whole = run(folder)
    before = (folder / "out/results.jsonl").read_bytes()
    assert before.count(b"\n") == len(whole.records) == len({record["id"] for record in whole.records})
    run(folder, "two", jobs=2)
    assert (folder / "two/results.jsonl").read_bytes() == before
    lines = before.splitlines(keepends=True)
    (folder / "out/results.jsonl").write_bytes(
        b"".join(lines[:3] + lines[5:6]) + lines[6][:20]
    )  # a torn line at the end
    run(folder, resume=True)
    assert (folder / "out/results.jsonl").read_bytes() == before


def test_a_resumed_run_does_what_is_left_and_keeps_what_comes(folder: Path) -> None:
    """The run is stopped in the middle of a line; then the resumed run is stopped, too, and resumed."""
    whole = run(folder)
    results = folder / "out/results.jsonl"
    before = results.read_bytes()
    lines = before.splitlines(keepends=True)
    results.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    asked: list[list[str]] = []
    progress: list[tuple[int, int]] = []

    def engine(shards: Sequence[Shard]) -> Iterator[Done]:
        asked.append([shard.id for shard in shards])
        for count, done in enumerate(engines.engine("local", 1)(shards)):
            on_disk = 3 if len(asked) == 1 else 5
            assert results.read_bytes().count(b"\n") == on_disk + count, "each result is on disk before the next comes"
            if len(asked) == 1 and count == 2:
                raise KeyboardInterrupt
            yield done

    def resume() -> Run:
        watch = lambda *bytes_done: progress.append(bytes_done)  # noqa: E731
        return evaluate(
            str(folder / "small.toml"), folder / "out", engine, root=str(folder / "data"), resume=True, watch=watch
        )

    with pytest.raises(KeyboardInterrupt):
        resume()
    progress.clear()
    resumed = resume()
    ids = [record["id"] for record in whole.records]
    assert asked == [ids[3:], ids[5:]]
    assert results.read_bytes() == before
    assert resumed.records == whole.records
    sizes = [shard.size for shard in whole.study.plan(Place(str(folder / "data")))]
    assert progress == [(sum(sizes[:count]), sum(sizes)) for count in range(5, len(sizes) + 1)]
    assert resumed.seconds > whole.seconds, "the seconds are of all runs together"


def test_killed_and_resumed_gives_the_same_file(folder: Path) -> None:
    slow = "lengths = [512]\nbytes = 2048\nshard = 512\ndecoded = 0\n"  # four shards, at the end
    row = f'[[rows]]\nname = "slow"\nspec = "command:sh -c \'sleep 0.1; cat\'"\n{slow}'
    (folder / "small.toml").write_text(CONFIG + row)
    command = [sys.executable, "-m", "compgen", "evaluate", str(folder / "small.toml"), "--data", str(folder / "data")]
    subprocess.run([*command, "--out", str(folder / "whole")], check=True, capture_output=True)
    child = subprocess.Popen([*command, "--out", str(folder / "killed"), "-j", "1"], stdout=subprocess.DEVNULL)
    results = folder / "killed/results.jsonl"
    end = time.monotonic() + 60
    while not (results.exists() and results.read_bytes().count(b"\n") >= 2) and time.monotonic() < end:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert 2 <= results.read_bytes().count(b"\n") < (folder / "whole/results.jsonl").read_bytes().count(b"\n")
    done = subprocess.run([*command, "--out", str(folder / "killed"), "--resume"], check=True, capture_output=True)
    assert b"gzip" in done.stdout
    assert results.read_bytes() == (folder / "whole/results.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["results.jsonl", "timings.jsonl"])
@pytest.mark.parametrize(
    "tail", [b'{"id": "te', b'{"id": "\xc3', b"\0" * 4096, b'{"id": "x"\0\0\0\n', b"null\n"], ids=repr
)
def test_a_torn_last_line_is_forgotten(folder: Path, name: str, tail: bytes) -> None:
    """A process was killed in the middle of a line, or a power cut left NUL bytes; then the run goes on, twice."""
    run(folder)
    path, results = folder / "out" / name, folder / "out/results.jsonl"
    before = results.read_bytes()
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:4]) + tail)
    if name != results.name:
        results.write_bytes(b"".join(before.splitlines(keepends=True)[:4]))
    for _ in range(2):
        run(folder, resume=True)
        assert results.read_bytes() == before
        for line in path.read_bytes().splitlines():
            assert "id" in json.loads(line)
    assert len((folder / "out/timings.jsonl").read_bytes().splitlines()) >= len(whole)


@pytest.mark.parametrize("name", ["results.jsonl", "timings.jsonl"])
@pytest.mark.parametrize("line", [b'{"id": "te{"id": "text"}', b"\0\0", b"\xff", b"[]", b'{"name": 1}', b""], ids=repr)
def test_a_damaged_line_is_named(folder: Path, name: str, line: bytes) -> None:
    run(folder)
    path = folder / "out" / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[3:]]))
    with pytest.raises(CompgenError, match=rf"{name}' is damaged: line 3 "):
        run(folder, resume=True)
    assert path.read_bytes().splitlines()[2] == line, "nothing is changed"


def test_a_folder_that_is_no_whole_run_is_refused(folder: Path) -> None:
    run(folder)
    (folder / "out/run.json").write_text('{"identity"')
    with pytest.raises(CompgenError, match=r"run\.json' is damaged"):
        run(folder, resume=True)
    (folder / "out/run.json").unlink()
    with pytest.raises(UsageError, match=r"results\.jsonl without its run\.json"):
        run(folder)


def test_two_runs_do_not_write_to_one_folder(folder: Path) -> None:
    tried: list[Done] = []

    def engine(shards: Sequence[Shard]) -> Iterator[Done]:
        for done in engines.engine("local", 1)(shards):
            if not tried:
                with pytest.raises(CompgenError, match="out' is in use by process"):
                    run(folder, resume=True)
                tried.append(done)
            yield done

    first = evaluate(str(folder / "small.toml"), folder / "out", engine, root=str(folder / "data"))
    assert run(folder, resume=True).records == first.records
    assert len(tried) == 1


def test_another_run_is_not_gone_on_with(folder: Path) -> None:
    run(folder)
    with pytest.raises(UsageError, match="--resume"):
        run(folder)
    with pytest.raises(UsageError, match="different limit"):
        run(folder, resume=True, limit=2)
    (folder / "data/b.txt").write_bytes(b"less")
    opened.cache_clear()
    with pytest.raises(UsageError, match="different data"):
        run(folder, resume=True)


def test_results_of_other_weights_are_not_gone_on_with(folder: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from compgen.neural.bytes import network
    from tests.neural import tiny

    spec = f"llm:{tiny.byte_network(folder / 'network')}"
    config = CONFIG.replace('spec = "backoff:order=2"', f'spec = "{spec}"').replace("2048", "512")
    (folder / "small.toml").write_text(config)
    run(folder, limit=1)
    run(folder, limit=1, resume=True)
    tiny.byte_network(folder / "network", seed=4)
    network.load.cache_clear()
    with pytest.raises(UsageError, match="different compressors"):
        run(folder, limit=1, resume=True)


def test_a_limit_takes_the_first_chunks(folder: Path) -> None:
    result = run(folder, limit=2)
    found = [record for record in result.records if record["length"] == 512]
    assert {record.get("raw", record.get("counted")) for record in found} == {1024}


def test_the_report_has_the_papers_figures_and_ours(folder: Path) -> None:
    result = run(folder)
    tables = {table.name: table for table in report.write(result)}
    line = next(row for row in tables["raw"].rows if row[:2] == ("512", "gzip"))
    found = result.study.rates(result.records)["gzip", "text", 512]
    assert line[2:4] == (100 * found.honest, 48.1)
    rows = list(csv.reader((folder / "out/tables/raw.csv").read_text().splitlines()))
    assert rows[0][:4] == ["chunk", "compressor", "text ours", "text paper"]
    assert float(rows[1][2]) == tables["raw"].rows[0][2]
    whole = (folder / "data/a.txt").read_bytes() + (folder / "data/b.txt").read_bytes()
    provenance = json.loads((folder / "out/run.json").read_text())
    assert provenance["seed"] == 3
    assert provenance["identity"]["data"]["text"]["bytes"] == len(whole)


def test_a_misspelt_compressor_is_refused_before_anything_runs(cgn: Cgn, folder: Path) -> None:
    """The command once exited 0, and left the row out of the table."""
    (folder / "small.toml").write_text(CONFIG + '\n[[rows]]\nname = "other"\nspec = "gzipp"\n')
    done = cgn("evaluate", str(folder / "small.toml"), "--data", str(folder / "data"), "--out", str(folder / "out"))
    assert done.returncode == 2
    assert b"row 'other'" in done.stderr
    assert b"did you mean 'gzip'" in done.stderr
    assert not (folder / "out").exists()


def test_a_package_that_is_not_installed_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("imagecodecs", "compgen.compressors.raster"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)  # what makes its import fail
    (folder / "small.toml").write_text(CONFIG + '\n[[rows]]\nname = "other"\nspec = "jpegxl"\n')
    tables = report.write(run(folder))
    assert any(row[1] == "other (not installed)" for row in tables[0].rows)
    assert any("pip install 'compgen[imagecodecs]'" in note for note in tables[0].notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("version = 1", "version = 2"), "version = 1"),
        (('study = "table"', 'study = "tabel"'), "did you mean 'table'"),
        (("seed = 3", 'seed = "3"'), "seed must be a whole number"),
        (("seed = 3", "sead = 3"), "did you mean 'seed'"),
        (("lengths = [0, 512]", "lengths = [-1]"), "0 or more"),
        (('name = "bz2"', 'name = "gzip"'), "each its own"),
        (('title = "A small table"', ""), "lacks the key 'title'"),
        (('mapping = "clear"', 'mapping = "clean"'), "did you mean 'clear'"),
        (("size = 5000", "size = 0"), "1 or more"),
        (("bytes = 2048", 'sets = ["texts"]'), "no set 'texts'"),
        (("seed = 3", "seed = "), "not TOML"),
        (('study = "table"\n', ""), "must name its study"),
        (('study = "table"\n', "columns = [1]\n"), "describes a gallery; build it with: cgn gallery"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_said_in_a_line(folder: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in CONFIG
    (folder / "small.toml").write_text(CONFIG.replace(*change, 1))
    with pytest.raises(UsageError, match=said) as raised:
        run(folder)
    assert "\n" not in str(raised.value)
    assert "small.toml" in str(raised.value)


def test_the_command(cgn: Cgn, folder: Path) -> None:
    arguments = ("evaluate", str(folder / "small.toml"), "--data", str(folder / "data"), "--out", str(folder / "out"))
    done = cgn(*arguments, "--limit", "2")
    assert done.returncode == 0
    assert b"Raw rates, % of raw size" in done.stdout
    assert b"report.html" in done.stderr
    for wrong, said in (
        (("--engine", "slurm"), b"unknown engine"),
        (("--jobs", "0"), b"--jobs"),
        (("--limit", "-1"), b"--limit"),
        ((), b"--resume"),
    ):
        refused = cgn(*arguments, *wrong)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert refused.stderr.count(b"\n") == 1
    nowhere = cgn("evaluate", "nowhere.toml")
    assert (nowhere.returncode, nowhere.stderr.count(b"\n")) == (2, 1)


def test_without_data_the_paper_table_runs_on_made_data(cgn: Cgn, tmp_path: Path) -> None:
    config = (ROOT / "configs/table1.toml").read_text()
    (tmp_path / "t.toml").write_text(config[: config.index("# Coders:")])
    done = cgn("evaluate", str(tmp_path / "t.toml"), "--out", str(tmp_path / "out"), "--limit", "3", COMPGEN_DATA="")
    assert done.returncode == 0
    assert b"made data" in done.stderr


def test_known_values(data_root: Path, tmp_path: Path) -> None:
    """Rates of gzip and xz on a sample of each set, %, are within a point of known ones."""
    pytest.importorskip("soundfile")
    config = (ROOT / "configs/table1.toml").read_text()
    rows = "".join(f'[[rows]]\nname = "{name}"\nspec = "{name}"\nbytes = 1_048_576\n' for name in ("gzip", "xz"))
    (tmp_path / "t.toml").write_text(config[: config.index("# Classical")].replace("[0, 2048]", "[2048]") + rows)
    result = evaluate(str(tmp_path / "t.toml"), tmp_path / "out", engines.engine("local", 1), root=str(data_root))
    rates = result.study.rates(result.records)
    known = {"enwik8": (50.1, 51.4), "LibriSpeech": (39.0, 37.9), "ImageNet": (74.2, 66.9), "random": (101.1, 100.2)}
    for name, expected in known.items():
        for row, value in zip(("gzip", "xz"), expected, strict=True):
            assert 100 * rates[row, name, 2048].honest == pytest.approx(value, abs=1.0)

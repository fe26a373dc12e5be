"""The commands compress, decompress, inspect, verify and explain, as a user types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compgen.cli import run
from tests.conftest import ROOT, Run


@pytest.fixture
def source(tmp_path: Path, prose: bytes) -> Path:
    path = tmp_path / "prose.txt"
    path.write_bytes(prose[:1500])
    return path


def test_there_and_back(cgn: Run, source: Path) -> None:
    done = cgn("compress", str(source))
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"history: 1500 to ")
    packed = Path(f"{source}.cgn")
    assert source.exists()
    refused = cgn("decompress", str(packed))
    assert refused.returncode == 2
    assert b"--force" in refused.stderr
    data = source.read_bytes()
    source.write_bytes(b"old")
    assert cgn("decompress", str(packed), "--force").returncode == 0
    assert source.read_bytes() == data
    verified = cgn("verify", str(packed))
    assert verified.stdout == f"{packed}: intact, 1500 bytes\n".encode()
    assert cgn("compress", str(source)).returncode == 2, "an existing .cgn is not overwritten"


def test_pipes(cgn: Run, prose: bytes) -> None:
    packed = cgn("compress", "-", "-c", "backoff:order=3", stdin=prose[:700])
    assert packed.returncode == 0
    assert cgn("decompress", "-", stdin=packed.stdout).stdout == prose[:700]
    assert cgn("decompress", "-", stdin=b"").returncode == 1
    assert cgn("decompress", "-", stdin=packed.stdout[:-3]).returncode == 1


def test_joined_files_are_one_file(cgn: Run, prose: bytes, tmp_path: Path) -> None:
    """As cat a.gz b.gz | gunzip."""
    one = cgn("compress", "-", "-c", "backoff", stdin=prose[:700]).stdout
    two = cgn("compress", "-", "-c", "uniform", stdin=prose[700:900]).stdout
    assert cgn("decompress", stdin=one + two).stdout == prose[:900]
    path = tmp_path / "joined.cgn"
    path.write_bytes(one + two)
    assert cgn("verify", str(path)).stdout == f"{path}: intact, 900 bytes\n".encode()
    reports = [json.loads(line) for line in cgn("inspect", str(path), "--json").stdout.splitlines()]
    assert [(r["container"], r["compressor"], r["bytes"]) for r in reports] == [(1, "backoff", 700), (2, None, 200)]
    assert sum(r["compressed_bytes"] for r in reports) == len(one + two)
    assert cgn("inspect", str(path)).stdout.count(b"checksum") == 2
    damaged = cgn("decompress", stdin=one + two[:-1])
    assert (damaged.returncode, damaged.stdout) == (1, prose[:700]), "what is verified comes out"


def test_a_user_says_how_much_is_welcome(cgn: Run, prose: bytes, tmp_path: Path) -> None:
    path, back = tmp_path / "a.cgn", tmp_path / "back"
    path.write_bytes(cgn("compress", "-", "-c", "backoff", stdin=prose[:1100]).stdout)
    for options, code, said in (
        (["--max-size", "1KiB"], 1, b"give --max-size 1100"),
        (["--memlimit", "100k"], 1, b"give --memlimit "),
        (["--max-size", "much"], 2, b"'much' is not a size; write a number of bytes"),
        (["--memlimit", "0"], 2, b"'0' is not a size"),
    ):
        for words in (["decompress", str(path), "-o", str(back)], ["verify", str(path)]):
            done = cgn(*words, *options)
            assert (done.returncode, done.stdout) == (code, b""), options
            assert said in done.stderr
            assert done.stderr.count(b"\n") == 1
            assert not back.exists()
    assert cgn("decompress", str(path), "-o", str(back), "--max-size", "1100", "--memlimit", "1G").returncode == 0
    assert back.read_bytes() == prose[:1100]


def test_a_file_that_costs_more_than_is_usual_says_so_when_it_is_written(
    tmp_path: Path, prose: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("compgen.coding.budget.MEMORY", 1 << 20)  # writing a gibibyte's file would take long
    source, packed, back = tmp_path / "prose", tmp_path / "prose.cgn", tmp_path / "back"
    source.write_bytes(prose[:1500])
    assert run(["compress", str(source), "-c", "backoff:order=8"]) == 0
    said = capsys.readouterr().err
    assert f"{source}: decoding it costs more than decompress allows; give decompress --memlimit " in said
    option = said.partition("give decompress ")[2].partition(":")[0].split()
    for less, code in ((0, 0), (1, 1)):
        limit = str(int(option[1].removesuffix("MiB")) - less) + "MiB"
        assert run(["decompress", "-f", str(packed), "-o", str(back), option[0], limit]) == code
    assert back.read_bytes() == source.read_bytes()


def test_inspect_tells_what_is_inside(cgn: Run, source: Path) -> None:
    cgn("compress", str(source), "-c", "gzip", "--window", "4096", "--effort", "fast", "--lanes", "2")
    report = json.loads(cgn("inspect", f"{source}.cgn", "--json").stdout)
    assert report["compressor"] == "gzip:rule=calibrated,window=4096"
    assert report["independent"] is True
    assert report["bytes"] == 1500
    assert report["compressed_bytes"] == Path(f"{source}.cgn").stat().st_size
    assert sum(segment["bytes"] for segment in report["segments"]) == 1500
    shown = cgn("inspect", f"{source}.cgn").stdout.decode()
    assert "gzip:rule=calibrated,window=4096" in shown
    assert "coded" in shown


def test_json_and_modes(cgn: Run, source: Path) -> None:
    out = str(source.with_name("x.cgn"))
    report = json.loads(cgn("compress", str(source), "-o", out, "-c", "backoff", "--no-verify", "--json").stdout)
    assert report["bytes"] == 1500
    assert report["compressed_bytes"] == Path(out).stat().st_size
    umask = os.umask(0)
    os.umask(umask)
    assert Path(out).stat().st_mode & 0o777 == 0o666 & ~umask


def test_wrong_use_is_one_line_and_exit_2(cgn: Run, source: Path, tmp_path: Path) -> None:
    for words in (
        ["compress", str(tmp_path / "none")],
        ["compress", str(tmp_path)],
        ["compress", str(source), "-c", "nonsense"],
        ["compress", str(source), "--jobs", "0"],
        ["compress", str(source), "--lanes", "4097"],
        ["compress", str(source), "-o", str(source), "--force"],
        ["compress", str(source), "-o", "-", "--json"],
        ["train", str(ROOT / "configs/train_paper_200k.toml"), "-o", str(source)],
        ["evaluate", str(ROOT / "configs/table1.toml"), "--out", str(source)],
        ["ncd", str(source), str(source), "-c", "llm"],
        ["compress", str(source), "--window", "-1"],
        ["compress", str(source), "-o", str(tmp_path / "no/such/folder")],
        ["decompress", str(source)],
        ["explain", ""],
        ["explain", "x" * 99],
        ["explain", "AIXI", "-o", "aixi.png"],
    ):
        done = cgn(*words)
        assert done.returncode == 2, words
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(b"cgn: ")
    assert [p.name for p in tmp_path.iterdir()] == ["prose.txt"]


def test_the_context_of_other_commands_is_not_the_window_of_this_one(cgn: Run, source: Path) -> None:
    """One word, one meaning: --context is the known bytes of a prompt, and compress has no prompt."""
    done = cgn("compress", str(source), "--context", "4096")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"No such option: --context" in done.stderr
    assert b"--window" in done.stderr
    assert b"--window" not in cgn("explain", "AIXI", "--context", "4").stderr, "explain has no window"
    assert b"Look back N to 2N - 1 bytes" in cgn("compress", "--help-all").stdout


def test_damage_is_one_line_and_exit_1(cgn: Run, source: Path) -> None:
    bad = source.with_name("bad.cgn")
    for blob in (b"", b"nonsense", b"\x89CGN\x01C" + b"\xff" * 40):
        bad.write_bytes(blob)
        for command in ("decompress", "verify", "inspect"):
            done = cgn(command, str(bad))
            assert done.returncode == 1
            assert done.stderr.count(b"\n") == 1
    assert not source.with_name("bad").exists()


def test_a_program_must_be_named_again(cgn: Run, source: Path) -> None:
    source.write_bytes(b"a tale, " * 80)
    packed, spec, named = f"{source}.cgn", "command:gzip -9 -n", "command:rule=calibrated gzip -9 -n"
    assert cgn("compress", str(source), "-c", spec, "--no-verify").returncode == 0
    refused = cgn("decompress", packed, "-o", "-")
    assert refused.returncode == 1
    assert f"--compressor '{named}'" in refused.stderr.decode()
    for given in (spec, named):
        assert cgn("decompress", packed, "-o", "-", "-c", given).stdout == source.read_bytes()
    assert cgn("decompress", packed, "-o", "-", "-c", "gzip").returncode == 2


def test_explain_draws(cgn: Run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.svg"
    done = cgn("explain", "AIXI", "-c", "backoff", "--prompt", str(source), "-o", str(out))
    assert done.returncode == 0
    assert "Shortest code: 0." in done.stdout.decode()
    assert out.read_bytes().startswith(b"<svg")
    report = json.loads(cgn("explain", "AIXI", "-c", "uniform", "--json").stdout)
    assert report["bits"] == pytest.approx(32)
    assert report["code"] == "".join(f"{b:08b}" for b in b"AIXI")


def test_compressed_data_is_not_written_to_a_terminal(source: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    done = subprocess.run([sys.executable, "-m", "compgen", "compress", str(source), "-o", "-"], stdout=follower,
                          stderr=subprocess.PIPE, check=False)  # fmt: skip
    os.close(follower)
    os.close(leader)
    assert done.returncode == 2
    assert b"terminal" in done.stderr


def test_levels_choose_models_that_files_name(source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words, spec in (
        ([], "history"),
        (["-1"], "gzip:rule=decoder"),
        (["--fast"], "gzip:rule=decoder"),
        (["-6"], "gzip:rule=decoder+history"),
        (["--rule", "calibrated"], "gzip:rule=calibrated"),
    ):
        assert run(["compress", str(source), "-f", *words]) == 0
        assert capfd.readouterr().err.startswith(f"{spec}: 1500 to ")
    for words, said in (
        (["-1", "-c", "gzip"], "-1 chooses 'gzip:rule=decoder', and -c another model"),
        (["-6", "--rule", "decoder"], "-6 chooses 'gzip:rule=decoder+history', and --rule another model"),
        (["-1", "-6"], "-1 and -6 are both levels"),
        (["-1", "--best"], "-1 and -9 are both levels"),
        (["-5"], "-5: there are levels 1, 3, 6 and 9"),
    ):
        assert run(["compress", str(source), "-f", *words]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert said in line


def test_a_long_job_is_announced_with_what_is_faster(tmp_path: Path, capfd: pytest.CaptureFixture[str],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from compgen.coding.writer import Writer

    source = tmp_path / "a"
    source.write_bytes(bytes(4_000_000))
    monkeypatch.setattr(Writer, "write", lambda self, data: len(data))  # only what is said counts
    assert run(["compress", str(source), "-6", "-f"]) == 0
    announced = capfd.readouterr().err.splitlines()[0]
    assert re.match(r"cgn: \S+: this takes \d+ (minutes|hours) or so; -1 takes \d+ minutes, --no-verify", announced)
    assert run(["compress", str(source), "-6", "-f", "-q"]) == 0
    assert not capfd.readouterr().err
    source.write_bytes(bytes(4000))
    assert run(["compress", str(source), "-6", "-f"]) == 0
    assert "this takes" not in capfd.readouterr().err

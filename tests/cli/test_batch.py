"""Files as people keep them: several in one command, their permissions and times, and the habits of gzip and zstd."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import compgen
from compgen.cli import run

TEXT = b"one fish, two fish, red fish, blue fish; "


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files a, b and c."""
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        (tmp_path / name).write_bytes(TEXT + name.encode())
    return tmp_path


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_several_files_go_there_and_back(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "a", "b", "c"]) == 0
    assert [line.split(":")[0] for line in said(capfd)] == ["a", "b", "c"]
    assert run(["verify", "a.cgn", "b.cgn", "c.cgn"]) == 0
    assert capfd.readouterr().out == "".join(f"{name}.cgn: intact, 42 bytes\n" for name in "abc")
    for name in "abc":
        (here / name).unlink()
    assert run(["decompress", "a.cgn", "b.cgn", "c.cgn"]) == 0
    assert (here / "c").read_bytes() == TEXT + b"c"
    assert names(here) == ["a", "a.cgn", "b", "b.cgn", "c", "c.cgn"]


def test_a_file_that_fails_does_not_stop_the_others(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "a", "missing", "b"]) == 2
    assert "cgn: file 'missing' does not exist; check the path" in said(capfd)
    assert names(here) == ["a", "a.cgn", "b", "b.cgn", "c"]
    (here / "bad.cgn").write_bytes(b"junk")
    assert run(["verify", "a.cgn", "bad.cgn", "b.cgn"]) == 1
    out, err = capfd.readouterr()
    assert out == "a.cgn: intact, 42 bytes\nb.cgn: intact, 42 bytes\n"
    assert err.startswith("cgn: bad.cgn: this is no .cgn file")
    assert err.count("\n") == 1
    assert run(["verify", "bad.cgn", "missing.cgn"]) == 2, "the worst exit code"
    assert run(["inspect", "bad.cgn", "a.cgn"]) == 1
    assert "a.cgn" in capfd.readouterr().out


def test_what_is_wrong_with_all_files_is_said_once(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["-c", "nonsense"], ["--jobs", "0"], ["--lanes", "9999"], ["-o", "one"], ["-c", "gzip:level=99"]):
        assert run(["compress", "a", "b", *words]) == 2
        assert len(said(capfd)) == 1, words
    assert names(here) == ["a", "b", "c"]


def test_json_is_one_object_a_line(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "a", "b", "--json"]) == 0
    reports = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [report["file"] for report in reports] == ["a", "b"]
    assert run(["inspect", "a.cgn", "b.cgn", "--json"]) == 0
    reports = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(report["file"], report["bytes"]) for report in reports] == [("a.cgn", 42), ("b.cgn", 42)]


def test_standard_output_takes_several_files(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["compress", "a", "b", "-o", "-", "-q"]) == 0
    both = capfdbinary.readouterr().out
    assert both == compgen.compress(TEXT + b"a") + compgen.compress(TEXT + b"b")
    assert run(["compress", "a", "b", "-q"]) == 0
    assert run(["decompress", "a.cgn", "b.cgn", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == TEXT + b"a" + TEXT + b"b"


def test_no_file_is_standard_input(here: Path) -> None:
    words = [sys.executable, "-m", "compgen"]
    packed = subprocess.run([*words, "compress"], input=TEXT, capture_output=True, check=True).stdout
    assert subprocess.run([*words, "decompress"], input=packed, capture_output=True, check=True).stdout == TEXT


def test_standard_input_is_read_once(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "-", "-", "-o", "-"]) == 2
    assert said(capfd) == ["cgn: standard input can be read once; give - once"]


@pytest.mark.parametrize("words", [[], ["-f"]])
def test_no_file_of_a_command_overwrites_another(
    here: Path, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Both data went to b through a link, both sources were deleted, and the exit code was 0."""
    assert run(["compress", "-q", "--rm", "a", "b"]) == 0
    Path("a").symlink_to("b")
    assert run(["decompress", *words, "--rm", "a.cgn", "b.cgn", "c.cgn"]) == 2
    told = said(capfd)
    assert "cgn: b.cgn: output 'b' is that of 'a.cgn' too; give them to two commands" in told
    assert (here / "b").read_bytes() == TEXT + b"a"
    assert compgen.decompress((here / "b.cgn").read_bytes()) == TEXT + b"b"


def test_what_a_command_reads_later_is_not_overwritten(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "-q", "a"]) == 0
    assert run(["compress", "-q", "a.cgn", "-o", "a.cgn.cgn"]) == 0
    before = (here / "a.cgn").read_bytes()
    assert run(["decompress", "-f", "a.cgn.cgn", "a.cgn"]) == 2
    assert said(capfd) == ["cgn: a.cgn.cgn: output 'a.cgn' is another file that is read; give them to two commands"]
    assert (here / "a.cgn").read_bytes() == before
    assert run(["compress", "-f", "-q", "a", "a.cgn"]) == 2, "a.cgn is not read, as its name says that it is done"
    assert (here / "a.cgn").stat().st_size > 0
    assert len(said(capfd)) == 1


def test_what_appears_while_a_command_runs_is_not_overwritten(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compress = sys.modules["compgen.cli.compress"]
    code = compress._compress

    def meanwhile(file: str, *rest: object) -> object:
        (here / "b.cgn").write_bytes(b"precious")
        return code(file, *rest)

    monkeypatch.setattr(compress, "_compress", meanwhile)
    assert run(["compress", "-q", "a", "b"]) == 2
    assert said(capfd) == ["cgn: b: output 'b.cgn' exists already; use --force to overwrite it"]
    assert (here / "b.cgn").read_bytes() == b"precious"


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o444, 0o4711])
def test_permissions_and_times_go_there_and_back(here: Path, bits: int) -> None:
    """A private file once became one that everybody could read, and back again."""
    source, packed = here / "a", here / "a.cgn"
    source.chmod(bits)
    os.utime(source, ns=(10**18, 10**18 + 987_654_321))
    assert run(["compress", "a", "-q"]) == 0
    for path in (packed, source):
        assert stat.S_IMODE(path.stat().st_mode) == (bits if path == source else bits & 0o777)
        assert path.stat().st_mtime_ns == 10**18 + 987_654_321
    assert run(["decompress", "a.cgn", "--force", "-q"]) == 0
    assert stat.S_IMODE(source.stat().st_mode) == bits & 0o777
    assert source.stat().st_mtime_ns == 10**18 + 987_654_321


def test_a_pipe_has_no_permissions_to_keep(here: Path) -> None:
    os.mkfifo(here / "pipe")
    with subprocess.Popen(["cp", "a", "pipe"]):
        assert run(["compress", "pipe", "-o", "x.cgn", "-q"]) == 0
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((here / "x.cgn").stat().st_mode) == 0o666 & ~umask
    assert compgen.decompress((here / "x.cgn").read_bytes()) == TEXT + b"a"


def test_rm_deletes_what_was_done_and_nothing_else(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "b.cgn").write_bytes(b"an old file")
    assert run(["compress", "a", "b", "c", "--rm", "-q"]) == 2
    assert names(here) == ["a.cgn", "b", "b.cgn", "c.cgn"]
    (here / "c.cgn").write_bytes((here / "c.cgn").read_bytes()[:-1])
    assert run(["decompress", "a.cgn", "c.cgn", "--rm"]) == 1
    assert names(here) == ["a", "b", "b.cgn", "c.cgn"]
    assert run(["compress", "a", "--rm", "-k", "-q"]) == 0, "the last one counts"
    assert (here / "a").exists()


@pytest.mark.parametrize("out", ["/dev/null", "-"])
def test_rm_is_refused_where_the_data_would_be_lost(here: Path, capfd: pytest.CaptureFixture[str], out: str) -> None:
    assert run(["compress", "a", "--rm", "-o", out, "-q"]) == 2
    assert "--rm is for files whose output is a file too" in said(capfd)[0]
    assert (here / "a").exists()


def test_a_file_that_changed_while_it_was_read_is_kept(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from compgen.cli import files

    with files.opened("a", "file") as source:
        status = files.attributes("a", source)
    (here / "a").write_bytes(TEXT)
    with pytest.raises(compgen.CompgenError, match="has changed since it was read, and is kept"):
        files.remove("a", status)
    assert (here / "a").exists()


def test_r_takes_the_files_in_directories(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "d/e").mkdir(parents=True)
    for name in ("d/x", "d/e/y", "d/done.cgn", "d/.cgn-0123456789abcdef.tmp"):
        (here / name).write_bytes(TEXT)
    (here / "d/link").symlink_to("../a")
    (here / "d/up").symlink_to("..")
    os.mkfifo(here / "d/pipe")
    before = names(here)
    assert run(["compress", "d", "a"]) == 2
    assert "cgn: 'd' is a directory; -r takes the files in it" in said(capfd)
    assert run(["verify", "d"]) == run(["inspect", "d"]) == run(["decompress", "d"]) == 2
    assert said(capfd) == 3 * ["cgn: 'd' is a directory; -r takes the files in it"]
    (here / "a.cgn").unlink()
    assert run(["compress", "-r", "d", "a", "-q"]) == 0
    made = ["a.cgn", "d/e/y.cgn", "d/x.cgn"]
    assert names(here) == sorted([*before, *made]), "no links, pipes, .cgn files or temporary files"
    (here / "d/done.cgn").unlink()
    capfd.readouterr()
    assert run(["verify", "-r", "d"]) == 0
    assert capfd.readouterr().out == "d/x.cgn: intact, 41 bytes\nd/e/y.cgn: intact, 41 bytes\n"
    assert run(["decompress", "-r", "d", "--rm", "--force", "-v"]) == 0
    told = said(capfd)
    assert "cgn: d/link: left out" in told
    assert any(line.startswith("d/x.cgn to d/x: 41 bytes, ") for line in told)
    assert not any(name.endswith(".cgn") for name in names(here / "d"))


def test_quiet_says_nothing_but_errors(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "a", "-q"]) == 0
    assert run(["verify", "a.cgn", "-q"]) == 0
    assert run(["decompress", "a.cgn", "-qvf"]) == 0
    assert capfd.readouterr() == ("", "")
    assert run(["decompress", "a.cgn", "-q"]) == 2
    assert len(said(capfd)) == 1


def test_what_ends_in_cgn_is_not_compressed_again_by_a_slip(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """``cgn compress *``, twice."""
    assert run(["compress", *names(here), "-q"]) == 0
    assert run(["compress", *names(here), "-q", "-f"]) == 2
    assert [line for line in said(capfd) if "already" in line] == [
        f"cgn: '{name}.cgn' ends in .cgn already; to compress it again, name the output with -o" for name in "abc"
    ]
    assert names(here) == ["a", "a.cgn", "b", "b.cgn", "c", "c.cgn"]
    assert run(["compress", "a.cgn", "-q", "-o", "twice"]) == 0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("-d a.cgn", "cgn decompress a.cgn"),
        ("-dk a.cgn", "cgn decompress -k a.cgn"),
        ("-dc a.cgn", "cgn decompress a.cgn -o -"),
        ("-d -c a.cgn", "cgn decompress a.cgn -o -"),
        ("--decompress a.cgn", "cgn decompress a.cgn"),
        ("-t a.cgn b.cgn", "cgn verify a.cgn b.cgn"),
        ("-l a.cgn", "cgn inspect a.cgn"),
        ("--list", "cgn inspect"),
        ("compress -d a.cgn", "cgn decompress a.cgn"),
        ("compress -t a.cgn", "cgn verify a.cgn"),
        ("decompress -l a.cgn", "cgn inspect a.cgn"),
        ("decompress -z a", "cgn compress a"),
        ("a", "cgn compress a"),
        ("a b", "cgn compress a b"),
        ("a.cgn", "cgn decompress a.cgn"),
        (".", "cgn compress -r ."),
        ("'two words'", "cgn compress 'two words'"),
        ("compress -c a", "cgn compress a -o -"),
        ("compress a -c", "cgn compress a -o -"),
        ("compress -c -q c", "cgn compress -q c -o -"),
        ("decompress -c a.cgn", "cgn decompress a.cgn -o -"),
    ],
)
def test_habits_of_gzip_are_told_what_to_type(
    here: Path, capfd: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    for name in ("a", "b"):
        (here / f"{name}.cgn").write_bytes(compgen.compress(TEXT, "backoff"))
    (here / "two words").write_bytes(TEXT)
    before = names(here)
    assert run(shlex.split(typed)) == 2
    (line,) = said(capfd)
    assert line.endswith(f"type: {meant}")
    assert names(here) == before
    if meant != "cgn inspect":
        assert run([*shlex.split(meant)[1:], *([] if "verify" in meant or "inspect" in meant else ["--force"])]) == 0


def test_a_compressor_that_is_only_misspelt_is_no_habit(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compress", "a", "-c", "gzpi"]) == 2
    assert "did you mean 'gzip'?" in said(capfd)[0]
    (here / "gzip").write_bytes(b"a file that is called like a compressor")
    assert run(["compress", "a", "-c", "gzip", "-q"]) == 0


@pytest.mark.parametrize(
    "words",
    [["sample", "--text", "x", "--length", "3", "-c", "uniform", "--out"], ["explain", "x", "-o"]],
)
def test_no_command_overwrites_without_force(here: Path, capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    (here / "a").chmod(0o444)
    assert run([*words, "a"]) == 2
    assert said(capfd) == ["cgn: output 'a' exists already; use --force to overwrite it"]
    assert (here / "a").read_bytes() == TEXT + b"a"
    assert run([*words, "a", "--force"]) == 0
    assert (here / "a").read_bytes() != TEXT + b"a"


def test_none_of_several_samples_overwrites_without_force(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "s-2.txt").write_bytes(b"mine")
    words = ["sample", "--text", "x", "--length", "3", "-c", "uniform", "--samples", "2", "--out", "s.txt"]
    assert run(words) == 2
    assert said(capfd) == ["cgn: output 's-2.txt' exists already; use --force to overwrite it"]
    assert not (here / "s-1.txt").exists()
    assert run([*words, "--force"]) == 0


@pytest.mark.parametrize(
    ("words", "theirs"),
    [
        (["gallery", "configs/gallery_demo.toml", "-o"], "index.html"),
        (["train", "configs/train_paper_200k.toml", "-o"], "config.json"),
    ],
)
def test_no_folder_of_somebody_else_is_written_into(
    here: Path, capfd: pytest.CaptureFixture[str], words: list[str], theirs: str
) -> None:
    pytest.importorskip("jinja2" if words[0] == "gallery" else "compgen")
    (here / "d").mkdir()
    (here / "d" / theirs).write_bytes(b"mine")
    config = str(Path(compgen.__file__).parents[1] / words[1])
    assert run([words[0], config, *words[2:], "d"]) == 2
    assert said(capfd) == [f"cgn: output 'd/{theirs}' exists already; name another directory, or use --force"]


CIRCLES = """\
compress loop
compress a -o loop
compress a -o loop/x
compress -r loop
decompress loop -o x
decompress a.cgn -o loop
verify loop
inspect loop
score loop
ncd loop a
sample --prompt loop
sample --text x --out loop
sample --text x --sampler decode --bits loop
sample --text x -c command:./loop
explain x -o loop
explain x --prompt loop
evaluate loop
evaluate CONFIGS/table1.toml --out loop
gallery loop -o x
gallery CONFIGS/gallery_demo.toml -o loop
train loop -o x
train CONFIGS/train_paper_200k.toml -o loop
"""


@pytest.mark.parametrize("typed", CIRCLES.splitlines())
def test_links_in_a_circle_are_one_line(here: Path, capfd: pytest.CaptureFixture[str], typed: str) -> None:
    (here / "loop").symlink_to("pool")
    (here / "pool").symlink_to("loop")
    (here / "a.cgn").write_bytes(compgen.compress(TEXT, "uniform"))
    configs = str(Path(compgen.__file__).parents[1] / "configs")
    assert run(shlex.split(typed.replace("CONFIGS", configs))) in (1, 2)
    (line,) = said(capfd)
    assert "Too many levels of symbolic links" in line
    assert (here / "loop").is_symlink()


def test_inspect_shows_each_container_in_the_same_way(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one = compgen.compress(TEXT, "uniform")
    (here / "joined.cgn").write_bytes(one + one)
    assert run(["inspect", "joined.cgn"]) == 0
    first, second = capfd.readouterr().out.split("\n\n")
    assert second.splitlines() == ["container         2", *first.splitlines()]
    assert run(["inspect", "joined.cgn", "joined.cgn"]) == 0
    shown = capfd.readouterr().out.split("\n\n")
    assert [part.splitlines()[0] for part in shown] == ["file              joined.cgn"] * 4


def test_an_empty_name_is_no_directory(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("compress", "inspect", "score"):
        assert run([command, ""]) == 2
        assert said(capfd)[0].endswith(
            "'' does not exist; check the path" + ", or give a text with --text" * (command == "score")
        )


def test_q_prints_no_warnings(here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.coding.budget.MEMORY", 1)
    (here / "a").write_bytes(TEXT * 9)
    assert run(["compress", "a", "-c", "backoff"]) == 0
    assert "decoding it costs more than decompress allows" in said(capfd)[0]
    assert run(["compress", "a", "-c", "backoff", "-f", "-q"]) == 0
    assert said(capfd) == []

"""Nothing that a file or its name holds controls the terminal."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import compgen
from compgen.cli import run
from compgen.cli.evaluate import _print
from compgen.coding.container import FrameWriter, ModelFrame, SegmentFrame, checksum
from compgen.display import one_line
from compgen.evaluation.tables import Table

NASTY = "a\x1b]0;title\x07\n\u202e\x9b31m" + os.fsdecode(b"\xff") + "[red]:smile:"
"""A name with an escape sequence, a bell, a line break, a reversed direction, a C1 control, a byte that is not UTF-8,
and what rich would read as markup and as an emoji."""

SHOWN = "a\u241b]0;title\u2407\u240a\ufffd\ufffd31m\ufffd[red]:smile:"


def forged(spec: str, versions: str = "") -> bytes:
    """A .cgn file whose model frame is sound but names anything."""
    out = io.BytesIO()
    frames = FrameWriter(out)
    frames.model(ModelFrame(spec, bytes(8), 1, False, versions, 24))
    frames.segment(SegmentFrame(5, b"x" * 9, checksum(0, b"hello"), coded=True), b"hello")
    frames.end()
    return out.getvalue()


def safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_of_files_are_shown_and_not_obeyed(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / NASTY).write_bytes(b"text " * 20)
    (here / f"{NASTY}.toml").write_text("x = '")
    packed = f"{NASTY}.cgn"
    runs = [
        (["compress", NASTY, "missing"], 2),
        (["compress", NASTY], 2),
        (["verify", packed, packed], 0),
        (["inspect", packed, packed], 0),
        (["decompress", packed], 2),
        (["decompress", packed, "-v", "-f"], 0),
        (["score", f"{NASTY}?"], 2),
        (["compress", NASTY, "-c", NASTY], 2),
        (["sample", "--text", "x", "-c", NASTY], 2),
        (["sample", "--text", "x", "--out", f"{NASTY}/x"], 2),
        (["evaluate", f"{NASTY}.toml"], 2),
        (["gallery", f"{NASTY}.toml", "-o", "x"], 2),
        (["train", f"{NASTY}.toml", "-o", "x"], 2),
        ([NASTY], 2),
        ([f"--{NASTY}"], 2),
        (["compress", f"--{NASTY}"], 2),
        (["compress", "x", "--jobs", "\x1b\n\u202e"], 2),
        (["compress", "-d", NASTY], 2),
        (["shell-init", f"x{NASTY}"], 2),
        (["explain", "\x1b\n\u202e"], 0),
    ]
    for words, code in runs:
        assert run(words) == code, words
        out, err = capfd.readouterr()
        assert safe(out + err), words
        if any(word.startswith(NASTY) for word in words):
            assert SHOWN in out + err, words
        assert code == 0 or err.count("\n") == 1 + ("missing" in words)


SPECS = ["gzip:level=\x1b[31m", "command:\x1b]0;x\x07 \u202e\n", "x\x9b[red]", "llm:/\x1b[1m", "gzip"]


@pytest.mark.parametrize("spec", SPECS)
def test_what_a_file_says_is_shown_and_not_obeyed(here: Path, capfd: pytest.CaptureFixture[str], spec: str) -> None:
    (here / "x.cgn").write_bytes(forged(spec, "zlib \x1b[31m\n\x9b\u202e"))
    for words in (["verify"], ["decompress"], ["decompress", "-c", "gzip"]):
        assert run([words[0], "x.cgn", *words[1:]]) in (1, 2)
        out, err = capfd.readouterr()
        assert safe(out + err)
        assert err.count("\n") == 1
    assert run(["inspect", "x.cgn"]) == 0
    plain = capfd.readouterr().out
    assert safe(plain)
    assert "versions          zlib \u241b[31m\u240a\ufffd\ufffd\n" in plain
    assert run(["inspect", "x.cgn", "--json"]) == 0
    told = capfd.readouterr().out
    assert told.isascii()
    assert json.loads(told)["compressor"] == spec, "machines get it as it is"


@pytest.mark.parametrize("spec", ["command:gzip -9", "command:x'; rm -rf ~; '", "command:$(id) `id` #", "llm:/a b/c"])
def test_a_suggested_option_is_one_word_for_a_shell(spec: str) -> None:
    """The quotes once were those of the message, and a spec may hold quotes of its own."""
    with pytest.raises(compgen.CompgenError, match="--compressor") as caught:
        compgen.decompress(forged(spec))
    suggestion = (
        str(caught.value)
        .partition("give --compressor ")[2]
        .removesuffix(", or llm: with the folder where these weights lie here")
    )
    assert shlex.split(suggestion) == [spec]


def test_tables_take_text_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    """``[/]`` in the name of a row once was an error of rich's, and ``[red]`` vanished."""
    names = ["[red]x", "[/]", ":smile:", "\x1b[31m", "a\nb", "\\[x]"]
    _print(Table("t", "[b]caption", ("[b]name", "n"), [(name, 1) for name in names], notes=["[i]note\x1b"]))
    out = capfd.readouterr().out
    assert safe(out)
    for shown in ("[b]caption", "[b]name", *names, "[i]note\x1b"):
        assert one_line(shown) in out


def test_warnings_are_lines_of_the_program() -> None:
    program = """if True:
        import warnings
        import compgen.cli
        from compgen.__main__ import main
        compgen.cli.run = lambda arguments: warnings.warn("line\\none\\x1b") or 0
        main()"""
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, check=True)
    assert done.stderr.decode() == "cgn: line\u240aone\u241b\n"

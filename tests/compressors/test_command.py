"""External programs: what they may do wrong, and what is said about it."""

from __future__ import annotations

import gzip
import resource
import sys
from pathlib import Path

import pytest

from compgen.compressors.command import Command
from compgen.errors import CompressorError, CorruptDataError, UsageError


def test_a_program_compresses_and_decompresses() -> None:
    command = Command("gzip -9 -c")
    assert gzip.decompress(command.compress(b"abc" * 50)) == b"abc" * 50
    assert command.decompress(command.compress(b"abc")) == b"abc"


def test_words_are_never_run_through_a_shell(tmp_path: Path) -> None:
    command = Command(f"echo $HOME; touch {tmp_path / 'made'}")
    assert b"$HOME;" in command.compress(b"x")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("no-such-program-here", "no program 'no-such-program-here' here; install it or give its full path"),
        ("false", "'false' failed with exit code 1"),
        ("true", "'true' wrote nothing"),
        ("gzip --no-such-option", "failed with exit code 1: "),
        ("/", "'/' is not a program that may be run"),
    ],
)
def test_a_program_that_cannot_do_it_is_named(words: str, said: str) -> None:
    with pytest.raises(CompressorError) as caught:
        Command(words).compress(b"data")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_command_is_its_words_however_they_were_written() -> None:
    assert Command("gzip  -9") == Command("gzip -9")
    assert str(Command("gzip  '-9'")) == "command:gzip -9"


@pytest.mark.parametrize("words", ["xz '", "", "level=3 xz"])
def test_words_that_make_no_command_are_refused(words: str) -> None:
    with pytest.raises(UsageError):
        Command(words)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf"), float("nan"), 1e300])
def test_a_timeout_is_a_time(timeout: float) -> None:
    with pytest.raises(UsageError, match="timeout must be above 0 and at most"):
        Command("gzip", timeout)


def test_a_program_that_hangs_is_stopped() -> None:
    command = Command(f"{sys.executable} -c 'import time; time.sleep(60)'", timeout=0.3)
    with pytest.raises(CompressorError, match=r"took over 0\.3 s; allow more with command:timeout="):
        command.compress(b"data")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_program_that_writes_without_end_is_stopped(stream: str) -> None:
    """``command:yes`` once filled the memory."""
    flood = Command(f"{sys.executable} -c 'import sys\nwhile True: sys.{stream}.write(999 * chr(120))'", timeout=3)
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        CompressorError, match="given 4 bytes and wrote over 1,048,584" if stream == "stdout" else "took over 3 s"
    ):
        flood.compress(b"data")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin < 50_000  # KB


def test_a_program_that_stops_reading_is_no_failure() -> None:
    assert Command("head -c 3").compress(b"data" * 100_000) == b"dat"


def test_a_blob_that_the_program_refuses_is_corrupt() -> None:
    with pytest.raises(CorruptDataError, match="cannot decode: 'gzip -c -d' failed"):
        Command("gzip -c").decompress(b"not gzip")

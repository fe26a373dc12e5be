"""Files that are written under a temporary name: their permissions and times, and what a killed writer leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import pytest

import compgen
from compgen import atomic
from compgen.atomic import replacing

OLD = time.time() - 3600
"""A time long ago, seconds since 1970."""

WRITER = """
import sys, time
from compgen.atomic import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def put(path: Path, data: bytes, like: Path | None = None) -> None:
    with replacing(path, like.stat() if like else None) as file:
        file.write(data)


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o444, 0o400, 0o755, 0o4755, 0o2770, 0o1666])
def test_a_new_file_has_the_permissions_and_the_time_of_its_source(tmp_path: Path, bits: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x")
    source.chmod(bits)
    os.utime(source, ns=(10**18 + 1, 10**18 + 123_456_789))
    target.write_bytes(b"old")
    put(target, b"new", source)
    assert mode(target) == bits & 0o777, "set-user-ID and the like are dropped, as gzip drops them"
    assert target.stat().st_mtime_ns == 10**18 + 123_456_789
    assert target.read_bytes() == b"new"


def test_nobody_else_may_read_a_private_file_while_it_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.touch(mode=0o600)
    with replacing(target, source.stat()) as file:
        file.write(b"secret")
        file.flush()
        (temporary,) = set(tmp_path.iterdir()) - {source}
        assert mode(temporary) == 0o600
        assert atomic.is_temporary(temporary.name)
    target.chmod(0o600)
    with replacing(target) as file:
        (temporary,) = set(tmp_path.iterdir()) - {source, target}
        assert mode(temporary) == 0o600, "what replaces a private file is private too"


def test_the_members_of_another_group_get_what_everybody_may_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the group of the source cannot be kept, its permissions are for nobody: as xz does."""

    def refuse(*arguments: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    source.touch()
    for before, after in ((0o640, 0o600), (0o664, 0o644), (0o606, 0o600), (0o755, 0o755), (0o770, 0o700)):
        source.chmod(before)
        put(target, b"", source)
        assert mode(target) == after


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_keeps_the_owner(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.touch(mode=0o640)
    os.chown(source, 1234, 2345)
    put(target, b"", source)
    assert (target.stat().st_uid, target.stat().st_gid, mode(target)) == (1234, 2345, 0o640)


def test_a_file_without_a_source_has_the_usual_permissions_or_those_of_the_old_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "new", b"x")
        assert mode(tmp_path / "new") == 0o640
        (tmp_path / "new").chmod(0o604)
        put(tmp_path / "new", b"y")
        assert mode(tmp_path / "new") == 0o604
    finally:
        os.umask(before)


def killed_writer(target: Path) -> Path:
    """Kill a process that writes ``target``, and return the temporary file that it leaves."""
    before = set(target.parent.iterdir())
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
    (left,) = set(target.parent.iterdir()) - before
    return left


def sweep(folder: Path) -> None:
    """Write a file, as a new process would."""
    atomic._sweep.cache_clear()
    put(folder / "other", b"x")


def test_what_a_killed_writer_left_is_deleted_later(tmp_path: Path) -> None:
    left = killed_writer(tmp_path / "target")
    assert left.read_bytes() == b"half"
    sweep(tmp_path)
    assert left.exists(), "it may be the file of a writer that has not locked it yet"
    os.utime(left, (OLD, OLD))
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_file_that_somebody_writes_is_never_deleted_however_old(tmp_path: Path) -> None:
    with replacing(tmp_path / "target") as file:
        (temporary,) = tmp_path.iterdir()
        os.utime(temporary, (OLD, OLD))
        sweep(tmp_path)
        file.write(b"whole")
    assert (tmp_path / "target").read_bytes() == b"whole"


def test_files_that_are_not_ours_are_never_deleted(tmp_path: Path) -> None:
    ours, others = ".cgn-0123456789abcdef.tmp", (".cgn-notes.tmp", ".cgn-0123456789abcdef", "x.tmp", ".cgn-")
    for name in others:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "linked").write_bytes(b"x")
    (tmp_path / ours).symlink_to("linked")
    (tmp_path / ours.replace("0", "1")).mkdir()
    os.mkfifo(tmp_path / ours.replace("0", "2"))
    os.link(tmp_path / "linked", tmp_path / ours.replace("0", "3"))
    for path in tmp_path.iterdir():
        os.utime(path, (OLD, OLD), follow_symlinks=False)
    before = {path.name for path in tmp_path.iterdir()}
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before | {"other"}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_step_leaves_no_file(tmp_path: Path) -> None:
    """An interrupt between the creation of the temporary file and its use once left it behind.

    A trace function interrupts after one step of the code, then after two, and so on, until the code is through.
    """
    target = tmp_path / "target"
    target.write_bytes(b"old")
    steps, left, place = 0, 0, ""

    def interrupt(frame: FrameType, event: str, argument: object) -> object:
        nonlocal left, place
        frame.f_trace_opcodes = True
        left -= event in ("call", "opcode")  # Python handles signals when it calls and between steps
        if left == 0:
            place = f"{frame.f_code.co_name}, line {frame.f_lineno}"
            raise KeyboardInterrupt
        return interrupt

    for count in range(1, 10_000):
        left = count
        try:
            sys.settrace(interrupt)  # type: ignore[arg-type]
            try:
                put(target, b"new")
            finally:
                sys.settrace(None)
        except KeyboardInterrupt:
            steps += 1
        assert [path.name for path in tmp_path.iterdir()] == ["target"], place
        if left > 0:
            break
    assert steps > 300
    assert target.read_bytes() == b"new"


def test_a_circle_of_links_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        put(tmp_path / "a", b"x")
    assert (tmp_path / "a").is_symlink()


def test_a_link_to_nothing_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("new")
    put(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").read_bytes() == b"x"


@pytest.mark.parametrize("end", ["sys.exit()", "raise ValueError", "pass"])
def test_a_forked_child_that_ends_leaves_the_file_to_its_parent(tmp_path: Path, end: str) -> None:
    """A child that ended by sys.exit once deleted the file, and wrote what its parent had yet to write as well."""
    program = """
import os, sys
import compgen
with compgen.open(sys.argv[1], "wb", "backoff") as out:
    out.write(b"one, two, three, " * 30)
    child = os.fork()
    if child == 0:
        sys.stderr = None
        END
    else:
        os.waitpid(child, 0)
        out.write(b"four")
"""
    target = tmp_path / "target.cgn"
    done = subprocess.run(
        [sys.executable, "-c", program.replace("END", end), str(target)], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert compgen.decompress(target.read_bytes()) == b"one, two, three, " * 30 + b"four"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]

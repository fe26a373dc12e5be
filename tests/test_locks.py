"""A folder is locked by one run at a time, and by no process that is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compgen.errors import CompgenError
from compgen.locks import alone_in


def test_one_block_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new/out"
    with alone_in(folder):
        said = r"out' is in use by process \d+ on .*; wait .* --out"
        with pytest.raises(CompgenError, match=said), alone_in(folder):
            pytest.fail("two are inside")
        with alone_in(tmp_path / "other"):
            pass
    with pytest.raises(KeyError), alone_in(folder):
        raise KeyError
    with alone_in(folder):
        pass


def test_a_killed_process_leaves_no_lock_though_its_children_live(tmp_path: Path) -> None:
    """Nor does a child that it started hold the lock."""
    script = (
        "import subprocess, sys, time; from pathlib import Path; from compgen.locks import alone_in\n"
        "with alone_in(Path(sys.argv[1])):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])\n"
        "    print(child.pid, flush=True); time.sleep(30)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(CompgenError, match=f"process {holder.pid} "), alone_in(tmp_path):
            pytest.fail("two are inside")
        holder.kill()
        holder.wait()
        with alone_in(tmp_path):
            pass
    finally:
        holder.stdout.close()
        subprocess.run(["kill", f"-{signal.SIGKILL}", str(child)], check=True)


def test_a_lock_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), alone_in(tmp_path / "out"):
        pytest.fail("the link was followed")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_drive_without_locks_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass

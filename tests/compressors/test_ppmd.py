"""PPMd's encoder in its child process: whatever happens to the child, codes stay the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from compgen.compressors import COMPRESSORS
from compgen.errors import CompressorError

pytest.importorskip("pyppmd")

from compgen.compressors import ppmd as module

DATA = b"some data, some more data, " * 20


def encoder() -> module._Encoder:
    return module._encoder()


def child() -> int:
    """Return the process id of the child that codes now."""
    process = encoder()._child
    assert process is not None
    return process.pid


def test_children_follow_each_other_and_code_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECES", 3)
    encoder().close()
    ppmd = COMPRESSORS.build("ppmd:memory=1")
    seen = []
    for _ in range(7):
        assert ppmd.compress(DATA) == ppmd.compress(DATA)
        seen.append(child())
    assert len(set(seen)) >= 4


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_many_encoders_leave_no_memory_behind() -> None:
    ppmd = COMPRESSORS.build("ppmd:memory=1")

    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    ppmd.compress(DATA)
    before = pages()
    for _ in range(2000):
        ppmd.compress(DATA)
    assert (pages() - before) * os.sysconf("SC_PAGESIZE") < 10_000_000, "in this process they would keep 40 MB"


def test_a_child_that_is_lost_is_an_error_once() -> None:
    ppmd = COMPRESSORS.build("ppmd:memory=1")
    code = ppmd.compress(DATA)
    os.kill(child(), signal.SIGKILL)
    with pytest.raises(CompressorError, match="memory"):
        ppmd.compress(DATA)
    assert ppmd.compress(DATA) == code


def test_an_interrupt_leaves_no_answer_for_the_next_question(monkeypatch: pytest.MonkeyPatch) -> None:
    ppmd = COMPRESSORS.build("ppmd:memory=1")
    code = ppmd.compress(DATA)

    def interrupted(self: module._Encoder, request: bytes) -> bytes:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(request)
        self._child.stdin.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Encoder, "_ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ppmd.compress(b"other data")
    monkeypatch.undo()
    assert ppmd.compress(DATA) == code


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_child_of_its_own() -> None:
    ppmd = COMPRESSORS.build("ppmd:memory=1")
    code = ppmd.compress(DATA)
    pid = os.fork()
    if not pid:
        same = ppmd.compress(DATA) == code
        encoder().close()
        os._exit(0 if same else 1)
    assert ppmd.compress(b"at the same time") != code
    assert os.waitpid(pid, 0)[1] == 0
    assert ppmd.compress(DATA) == code

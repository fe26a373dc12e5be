"""SIGINT and SIGTERM at any moment are one line and 130 or 143, in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

WORDS = [sys.executable, "-m", "compgen"]
BOTH = pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])

INSIDE = """
import os, sys, time
sys.path.insert(0, {folder!r})
from compgen.__main__ import main
import compgen.cli
compgen.cli.run = lambda arguments: __import__("harmful") and time.sleep(10)
main()
"""

HARMFUL = """
import os, time
try:
    os.kill(os.getpid(), {number})
    for _ in range(20):
        time.sleep(0.01)
except:
    raise ImportError("this library is missing")
print("imported", flush=True)
"""


@BOTH
def test_an_interrupt_waits_for_the_end_of_an_import(sent: signal.Signals, tmp_path: Path) -> None:
    """Inside an import, an interrupt once became a missing library, or a traceback that C code prints."""
    (tmp_path / "harmful.py").write_text(HARMFUL.format(number=int(sent)))
    code = INSIDE.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (b"imported\n", b"cgn: interrupted\n", 128 + sent)


@BOTH
@pytest.mark.parametrize("error", ["ValueError('C code')", "CompressorError('a child was interrupted too')"])
def test_what_an_interrupt_was_turned_into_is_an_interrupt(sent: signal.Signals, error: str, tmp_path: Path) -> None:
    """torch once said that it could not determine the shape of something, with a traceback."""
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "b").write_bytes(b"text")
    code = f"""if True:
        import os, sys
        from compgen.__main__ import main
        from compgen.errors import CompressorError
        import compgen.cli
        def turned(*words):
            try:
                os.kill(os.getpid(), {int(sent)})
                for _ in range(10**8):
                    pass
            except KeyboardInterrupt:
                raise {error}
        sys.modules["compgen.cli.compress"]._compress = turned
        main()"""
    words = [sys.executable, "-c", code, "compress", str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert (done.stderr, done.returncode) == (b"cgn: interrupted\n", 128 + sent)


@BOTH
def test_an_error_right_after_an_import_leaves_one_line(sent: signal.Signals, tmp_path: Path) -> None:
    """The interrupt that had waited for the end of the import came as well, and was a second line."""
    (tmp_path / "harmful.py").write_text(HARMFUL.format(number=int(sent)))
    code = f"""if True:
        import sys, time
        sys.path.insert(0, {str(tmp_path)!r})
        from compgen.__main__ import main
        from compgen.errors import UsageError
        import compgen.cli
        def fails(*words):
            import harmful
            raise UsageError("wrong")
        sys.modules["compgen.cli.explain"].files.read = fails
        let_go = compgen.cli.let_go
        compgen.cli.let_go = lambda: (time.sleep(0.1), let_go())
        main()"""
    words = [sys.executable, "-c", code, "explain", "text", "--prompt", "p"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (b"imported\n", b"cgn: interrupted\n", 128 + sent)


def interrupted(words: list[str], sent: signal.Signals, after: float) -> tuple[int, bytes]:
    """Send a signal to a process and its children ``after`` seconds of start-up, and return its end.

    The clock starts at the first step of the program. Before that only Python runs, whose answer is a traceback.
    """
    code = """if True:
        import compgen.signals
        def started(handle=compgen.signals.handle):
            handle()
            print("ready", flush=True)
        compgen.signals.handle = started
        from compgen.__main__ import main
        main()"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    os.killpg(process.pid, sent)
    errors = process.communicate(timeout=60)[1]
    return process.returncode, errors


@BOTH
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_at_any_moment_of_the_start_is_one_line(
    sent: signal.Signals, jobs: str, tmp_path: Path, prose: bytes
) -> None:
    """Children are started too: what they would print at an interrupt is nobody's business."""
    source = tmp_path / "source"
    source.write_bytes(prose * 20)
    for step in range(6):
        code, errors = interrupted(["compress", str(source), "-j", jobs], sent, step * (0.05 if jobs == "1" else 0.15))
        assert (code, errors) == (128 + sent, b"cgn: interrupted\n"), step
        assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_signals_that_the_caller_ignores_stay_ignored(tmp_path: Path) -> None:
    """As ``nohup`` and the background jobs of shells want it."""
    (tmp_path / "source").write_bytes(b"text " * 400)
    command = f"trap '' TERM INT HUP; exec '{sys.executable}' -m compgen compress '{tmp_path}/source' -q"
    with subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE) as process:
        stop = threading.Event()

        def send() -> None:
            while not stop.wait(0.02):
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    process.send_signal(number)

        sender = threading.Thread(target=send)
        sender.start()
        errors = process.communicate(timeout=60)[1]
        stop.set()
        sender.join()
    assert (process.returncode, errors) == (0, b"")
    assert (tmp_path / "source.cgn").exists()

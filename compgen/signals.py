"""What SIGINT, SIGTERM and SIGHUP do to a command: it ends with one line, and leaves nothing half-written behind.

Python raises ``KeyboardInterrupt`` between any two steps. Inside an import that does harm: C code prints a traceback of
its own, or reports that a library is missing, and some libraries catch everything. So the exception waits until the
import is over.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command. Those that the caller told the process to ignore, as nohup does, stay ignored."""

_WAIT = 0.005
"""Seconds until an interrupt that has to wait tries again. Chosen: people notice no delay, and it costs little work."""

_received: signal.Signals | None = None
"""The signal that came last, if any. It decides the exit code."""

_starting = False
"""Whether this process is starting others, inside ``blocked``."""


def handle() -> None:
    """From now on, raise ``KeyboardInterrupt`` for each signal of ``_SIGNALS``, but not inside an import."""
    signal.signal(signal.SIGALRM, _interrupt)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _interrupt_again


def let_go() -> None:
    """From now on, let a signal end the process at once.

    The command is over, and nothing would catch ``KeyboardInterrupt`` while Python shuts down.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)


def answer() -> int:
    """Return the exit code of an interrupted command, 128 + the number of the signal, as in shells.

    An interrupt that still waits for the end of an import is called off: the command ends with one line.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    return 128 + (_received or signal.SIGINT)


def received() -> bool:
    """Return whether a signal came. Any failure after it is an interrupt, which C code may turn into another error."""
    return _received is not None


@contextmanager
def blocked() -> Iterator[None]:
    """Hold signals back while the block starts processes. The new processes inherit that, and hold signals back too.

    A process that is interrupted before it has read what to do would print a traceback. So each new process calls
    ``unblock`` once it has started.
    """
    global _starting
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _starting = True  # another thread may still receive the signal
    try:
        yield
    finally:
        _starting = False
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock() -> None:
    """In a process that ``blocked`` has started: let SIGTERM and SIGHUP end it. Its parent answers SIGINT."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise ``KeyboardInterrupt``, or try again soon if an import or the start of a process is under way."""
    global _received
    if number != signal.SIGALRM:
        _received = signal.Signals(number)
    if _starting or _importing(frame):
        signal.setitimer(signal.ITIMER_REAL, _WAIT)
    else:
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Return whether ``frame`` runs for an import."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Interrupt again if an interrupt came inside a finaliser, where Python would print it and go on."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _WAIT)
    else:
        sys.__unraisablehook__(lost)

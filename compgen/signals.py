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
"""Seconds until an interrupt that waits tries again. Chosen: short for people, long for the processor."""

_received = signal.SIGINT
"""The signal that came last. It decides the exit code."""


def handle() -> None:
    """From now on, raise ``KeyboardInterrupt`` for each signal of ``_SIGNALS``, but not inside an import."""
    signal.signal(signal.SIGALRM, _interrupt)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _interrupt_again


def let_go() -> None:
    """From now on, a signal ends the process at once: the command is over, and Python's own end has no place for it."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def exit_code() -> int:
    """Return the exit code of an interrupted command: 128 + the number of the signal, as in shells."""
    return 128 + _received


@contextmanager
def blocked() -> Iterator[None]:
    """Block SIGINT while the block starts processes. They inherit that: an interrupt is for this process alone."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise ``KeyboardInterrupt``, or try again soon if an import is under way."""
    global _received
    if number != signal.SIGALRM:
        _received = signal.Signals(number)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            signal.setitimer(signal.ITIMER_REAL, _WAIT)
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Interrupt again if an interrupt came inside a finaliser, where Python would print it and go on."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _WAIT)
    else:
        sys.__unraisablehook__(lost)

"""What the command line says. Messages, warnings and tables leave through here; nothing in them controls a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from compgen.display import one_line
from compgen.errors import CompgenError

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "cgn"
"""The name of the program in messages. ``compgen`` would start a builtin in bash."""


def tell(message: str) -> None:
    """Print a message to standard error, as one line that begins with the name of the program."""
    report(f"{PROGRAM}: {message}")


def report(line: str) -> None:
    """Print one line to standard error: what a command did."""
    print(one_line(line), file=sys.stderr, flush=True)


def speed(rate: float) -> str:
    """Return ``rate``, in bytes per second, for messages: 0.72 bytes/s, or 1,460 bytes/s."""
    return f"{rate:,.0f} bytes/s" if rate >= 100 else f"{rate:.3g} bytes/s"


def failure(error: Exception) -> tuple[str, int] | None:
    """Return the message and the exit code of an error that a user can act on, or None for a defect of compgen."""
    if isinstance(error, CompgenError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "out of memory; ask for fewer samples or a smaller context", 1
    if isinstance(error, OSError):
        reason = str(error.strerror or error)
        return f"{error.filename}: {reason}" if error.filename else reason, 1
    return None


def console(**options: Any) -> Console:
    """Return a console for standard output that takes text as it is: ``[b]`` and ``:smile:`` mean nothing to it."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, **options)

"""The command line. ``cgn``, ``compgen`` and ``python -m compgen`` are the same program.

Modules here import NumPy and the rest of compgen inside their commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from compgen.cli import habits
from compgen.cli.compress import compress
from compgen.cli.compressors import compressors
from compgen.cli.convert import convert
from compgen.cli.decompress import decompress
from compgen.cli.evaluate import evaluate
from compgen.cli.explain import explain
from compgen.cli.gallery import gallery
from compgen.cli.help import HELP_OPTIONS, Command, Group
from compgen.cli.inspect import inspect
from compgen.cli.messages import PROGRAM, failure, tell
from compgen.cli.ncd import ncd
from compgen.cli.playground import playground
from compgen.cli.sample import sample
from compgen.cli.score import score
from compgen.cli.shell_init import shell_init
from compgen.cli.train import train
from compgen.cli.verify import verify
from compgen.errors import UsageError
from compgen.signals import answer, let_go, received

_CAUGHT = 130
"""The exit code with which Typer returns after it has caught an interrupt, and said nothing."""

_PIPE_CLOSED = 141
"""The exit code after the reader of standard output has gone: 128 + SIGPIPE, as in shells."""

_OTHER_NAMES = {"--context": "--window"}
"""Options that other commands have, and the option of a command without them that does what their users expect."""

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": list(HELP_OPTIONS)},
)
_COMMANDS = (
    sample, score, compress, decompress, inspect, verify, explain,
    playground, gallery, evaluate, train, convert, ncd, compressors, shell_init,
)  # fmt: skip
for command in _COMMANDS:
    app.command(name=command.__name__.replace("_", "-"), cls=Command)(command)


def _print_version(wanted: bool) -> None:
    """Print the version and exit, if that is wanted."""
    if wanted:
        from compgen import __version__

        typer.echo(f"compgen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Any compressor is a generative model; any generative model is a lossless compressor.

    Examples:
        cgn sample story.txt
        cgn compress story.txt
        cgn COMMAND --help

    Docs: README.md, docs/walk.md
    """


# Click's base of usage errors. Typer makes it public only as an ancestor of typer.BadParameter.
_ClickError = typer.BadParameter.__mro__[2]


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 141 pipe closed, 128 + N ended by signal N."""
    _mend_streams()
    warnings.showwarning = lambda message, *place: tell(str(message))
    code = run(sys.argv[1:] or ["--help"])
    let_go()
    if code > 128:
        # Python remembers an interrupt inside an exec, which imports use, and would die of it at exit.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        atexit._run_exitfuncs()  # there multiprocessing frees its semaphores
        os._exit(code)
    sys.exit(code)


def _mend_streams() -> None:
    """Open the standard streams that the caller closed, and let terminals without UTF-8 show what they can."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - it stays open
        elif mode == "w":
            stream.reconfigure(errors="replace")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Every error is one line on standard error."""
    try:
        code = _command().main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
        if code == _CAUGHT:
            raise KeyboardInterrupt
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", answer())
    except Exception as error:
        return _fail("interrupted", answer()) if received() else _failed(error, arguments)
    except SystemExit as error:
        # Typer exits by itself at a broken pipe, and after it has completed words for a shell.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _pipe_closed()


def _failed(error: Exception, arguments: list[str]) -> int:
    """Print what went wrong, and return the exit code. An error that is a defect of compgen is raised again."""
    if isinstance(error, BrokenPipeError):
        return _pipe_closed()
    if isinstance(error, UsageError):
        return _fail(habits.misplaced_file(arguments) or str(error), error.exit_code)
    if known := failure(error):
        return _fail(*known)
    if not isinstance(error, _ClickError):
        raise error
    return _fail(habits.command_line(arguments, error) or _usage_message(error), error.exit_code)  # type: ignore[attr-defined]


def _pipe_closed() -> int:
    """Return the exit code if the reader, such as head, has all it wanted. Python will not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _PIPE_CLOSED


def _usage_message(error: Any) -> str:
    """Return the message of Typer's usage error, with the right option for one that another command has."""
    context = getattr(error, "ctx", None)
    if context is None:
        return f"{error.format_message()} (see {PROGRAM} --help)"
    options = [option for parameter in context.command.params for option in parameter.opts]
    if (other := _OTHER_NAMES.get(getattr(error, "option_name", ""))) in options:
        error.possibilities = [other]
    return f"{error.format_message()} (see {context.command_path} --help)"


def _command() -> Any:
    """Return the command with Typer's completion, but without the two options for it: ``shell-init`` does that."""
    command = typer.main.get_command(app)
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    return command


def _fail(message: str, code: int) -> int:
    """Print ``message`` as one line to standard error, and return ``code``."""
    tell(message)
    return code

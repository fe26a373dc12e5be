"""The command line: ``cgn``, ``compgen`` and ``python -m compgen`` are the same program.

Modules here import NumPy and the rest of compgen inside their commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from compgen.cli.compress import compress
from compgen.cli.compressors import compressors
from compgen.cli.decompress import decompress
from compgen.cli.evaluate import evaluate
from compgen.cli.explain import explain
from compgen.cli.gallery import gallery
from compgen.cli.inspect import inspect
from compgen.cli.ncd import ncd
from compgen.cli.sample import sample
from compgen.cli.score import score
from compgen.cli.shell_init import shell_init
from compgen.cli.train import train
from compgen.cli.verify import verify
from compgen.errors import CompgenError

PROGRAM = "cgn"
_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_PIPE_CLOSED = 141  # 128 + SIGPIPE

app = typer.Typer(
    help="Any compressor is a generative model; any generative model is a lossless compressor.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (
    sample, score, compress, decompress, inspect, verify, explain,
    gallery, evaluate, train, ncd, compressors, shell_init,
)  # fmt: skip
for command in _COMMANDS:
    app.command(name=command.__name__.replace("_", "-"))(command)


def _print_version(wanted: bool) -> None:
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
    """Any compressor is a generative model; any generative model is a lossless compressor."""


# The base of Typer's usage errors is public only as an ancestor of typer.BadParameter.
_ClickError = typer.BadParameter.__mro__[2]


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 failed, 2 used wrongly, 130 interrupted or ended, 141 pipe closed."""
    _mend_streams()
    # A timeout or a batch system, too, should leave nothing half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    code = run(sys.argv[1:] or ["--help"])
    if code == _INTERRUPTED:
        # Python remembers an interrupt inside an exec, as imports have them, and at exit dies of it after all.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        atexit._run_exitfuncs()  # multiprocessing gives back its semaphores there
        os._exit(code)
    sys.exit(code)


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Bring back an interrupt that came inside a finaliser, where Python prints it and goes on."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def _mend_streams() -> None:
    """Open what the caller closed, and let a terminal without UTF-8 show what it can."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - it stays open, as the stream would
        elif mode == "w":
            stream.reconfigure(errors="replace")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every error is one line on standard error."""
    try:
        code = _command().main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
        if code == _INTERRUPTED:  # Typer's own answer to Ctrl-C, without a word
            raise KeyboardInterrupt
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CompgenError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", _INTERRUPTED)
    except (BrokenPipeError, SystemExit) as error:
        # Typer exits by itself at a broken pipe, and when it has answered a shell that completes words.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # The reader, head perhaps, has all it wanted. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _PIPE_CLOSED
    except MemoryError:
        return _fail("out of memory; ask for fewer samples or a smaller context", 1)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error), 1)
    except Exception as error:
        if not isinstance(error, _ClickError):
            raise
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else PROGRAM
        return _fail(f"{error.format_message()} (see {path} --help)", error.exit_code)  # type: ignore[attr-defined]


def _command() -> Any:
    """Return the command with Typer's completion, but not its two options, which shell-init stands for."""
    command = typer.main.get_command(app)
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    return command


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"{PROGRAM}: {line}", file=sys.stderr)
    return code

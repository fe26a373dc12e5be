"""Command lines as users of gzip, zstd, xz and language models type them: say what to type here instead."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from compgen.cli.compress import SUFFIX
from compgen.cli.messages import PROGRAM
from compgen.coding.levels import LEVELS

_COMMANDS = {
    "-d": "decompress",
    "--decompress": "decompress",
    "--uncompress": "decompress",
    "-t": "verify",
    "--test": "verify",
    "-l": "inspect",
    "--list": "inspect",
    "-z": "compress",
    "--compress": "compress",
}
"""Options of gzip, zstd and xz that are commands here."""

_WRITERS = ("compress", "decompress")
"""The commands in which ``-c`` of gzip, zstd and xz would be expected to mean standard output."""


def command_line(arguments: list[str], error: Any) -> str | None:
    """Return what to type in place of ``arguments``, which Typer refuses with ``error``; None if it is none of these.

    An option of gzip may be a command here, and one of transformers may have another name; a file may stand where a
    command is expected; ``-c`` may be the last word.
    """
    option = getattr(error, "option_name", None) or ""
    first = arguments[0] if arguments else ""
    if advice := _foreign_word(option, error):
        return advice
    if option in _COMMANDS:
        command = _COMMANDS[option]
        return f"{option} is the command {command} here; type: {_typed(command, *_without(option, arguments))}"
    if first == "compress" and option[1:].isdecimal():
        *others, last = map(str, LEVELS)
        return f"{option}: there are levels {', '.join(others)} and {last} (see {PROGRAM} compress --help)"
    if option in ("-c", "--compressor") and first in _WRITERS:
        return _to_standard_output([word for word in arguments if word != option])
    if "No such command" in str(error) and _exists(first):
        command = "decompress" if first.endswith(SUFFIX) else "compress"
        words = [command, "-r"] if Path(first).is_dir() else [command]
        return f"'{first}' is a file, not a command; type: {_typed(*words, *arguments)}"
    return None


def misplaced_file(arguments: list[str]) -> str | None:
    """Return what to type if ``-c FILE`` was meant as in gzip; None if it names a compressor or is only misspelt."""
    if arguments[0] not in _WRITERS or "-c" not in arguments[:-1]:
        return None
    from compgen.compressors import COMPRESSORS
    from compgen.models import MODELS

    place = arguments.index("-c")
    word = arguments[place + 1]
    if word in COMPRESSORS or word in MODELS or not (word.startswith("-") or _exists(word)):
        return None
    return _to_standard_output(arguments[:place] + arguments[place + 1 :])


def _foreign_word(option: str, error: Any) -> str | None:
    """Return what to write for an option of another library; None if it is none, or the command has no such option."""
    from compgen.sampling.foreign import FOREIGN

    ours = FOREIGN.get(option.removeprefix("--").replace("-", "_")) if option.startswith("--") else None
    if ours is None:
        return None
    command = error.ctx.command
    if not set(ours.options) <= {parameter.name for parameter in command.params}:
        return None
    written = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in ours.options.items())
    remark = f", {ours.remark}" if ours.remark else ""
    return f"{error.ctx.command_path} has no {option}; write {written}{remark}"


def _exists(name: str) -> bool:
    """Return whether there is a file or directory of this name. Any words may be asked about."""
    return os.path.exists(name)  # noqa: PTH110 - Path.exists raises an error for names that are too long


def _without(option: str, arguments: list[str]) -> list[str]:
    """Return ``arguments`` without the command and ``option``, which may stand among others as in ``-dc``."""
    as_gzip = arguments[0].startswith("-")  # no command: -c is standard output too
    words: list[str] = []
    end: list[str] = []
    for word in arguments if as_gzip else arguments[1:]:
        letters = word[1:] if word.startswith("-") and not word.startswith("--") else ""
        if word == option:
            continue
        if letters and (option[1:] in letters or (as_gzip and letters == "c")):
            end = ["-o", "-"] if "c" in letters else end
            letters = letters.replace(option[1:], "").replace("c", "")
            if not letters:
                continue
            word = f"-{letters}"
        words.append(word)
    return words + end


def _to_standard_output(words: list[str]) -> str:
    return f"-c names the compressor; to write to standard output, type: {_typed(*words, '-o', '-')}"


def _typed(*words: str) -> str:
    """Return a command line of this program that a shell reads as these words."""
    return f"{PROGRAM} {shlex.join(words)}"

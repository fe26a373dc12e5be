"""Options that several commands share. Each is declared once, so that it means the same in every command."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from compgen.cli import files
from compgen.cli.completion import complete_effort, complete_rule, complete_spec
from compgen.cli.help import FILES, MODEL, OUTPUT, PROMPT, RARE_FILES, RARE_MODEL, RARE_OUTPUT, RARE_PROMPT
from compgen.errors import UsageError

_SIZE = re.compile(r"([0-9]{1,15})\s*([kmgt]?)(i?b)?", re.IGNORECASE)
"""A number of bytes. As in xz and zstd, K, KB and KiB all mean 1,024."""


def parse_size(text: str) -> int:
    """Return the number of bytes that ``text`` names, such as 500000, 64KiB or 2G."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None or not int(match[1]):
        raise typer.BadParameter(f"'{text}' is not a size; write a number of bytes of 1 or more, such as 64KiB or 2GiB")
    return int(match[1]) << 10 * " kmgt".index(match[2].lower() or " ")


Files: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|-",
        help="The files. - is standard input, which is also read if no file is named.",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
CompressorSpec: TypeAlias = Annotated[
    str,
    typer.Option(
        "--compressor",
        "-c",
        metavar="SPEC",
        help="The compressor or model, or a mixture A+B. 'cgn compressors' lists them.",
        autocompletion=complete_spec,
        show_default=True,
        rich_help_panel=MODEL,
    ),
]
PromptOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        metavar="FILE|-",
        help="The same file, named by an option.",
        rich_help_panel=RARE_PROMPT,
    ),
]
Text: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="The text itself, in place of a file.",
        show_default=False,
        rich_help_panel=PROMPT,
    ),
]


def given(file: str | None, prompt: str | None, text: str | None) -> tuple[bytes, str]:
    """Return the bytes that one of the three names, and what to call them in errors.

    Raises:
        UsageError: none is given, or several are; or the file cannot be read.
    """
    if (file, prompt, text).count(None) != 2:
        raise UsageError("give one prompt: PROMPT or --prompt FILE (- for standard input), or --text TEXT")
    if text is not None:
        return text.encode(errors="surrogateescape"), "--text"
    name = file if file is not None else prompt
    assert name is not None  # noqa: S101 - one of the three is given
    if name != "-" and not os.path.lexists(name):  # no error for any name, as Path has it
        raise UsageError(f"prompt '{name}' does not exist; check the path, or give a text with --text")
    return files.read(name, "prompt"), f"prompt '{name}'"


PlainCompressorSpec: TypeAlias = Annotated[
    str,
    typer.Option(
        "--compressor",
        "-c",
        metavar="SPEC",
        help="The compressor: NAME or NAME:KEY=VALUE,... 'cgn compressors' lists them.",
        rich_help_panel=MODEL,
    ),
]
GivenCompressor: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--compressor",
        "-c",
        metavar="SPEC",
        help="The compressor that the file was written with. It is needed only if the file names a program, a plugin, "
        "a path, or a model that takes long to start.",
        rich_help_panel=RARE_MODEL,
    ),
]
MaxSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        parser=parse_size,
        help="The most bytes that may come out of a file, such as 500000, 64KiB, 10MiB or 2GiB. Decoding takes time in "
        "proportion to them. Default: any number.",
        rich_help_panel=RARE_FILES,
    ),
]
MemLimit: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--memlimit",
        metavar="SIZE",
        parser=parse_size,
        help="The most memory that decoding a file may take, such as 4GiB. Default: 1GiB.",
        rich_help_panel=RARE_FILES,
    ),
]
Rule: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="How it becomes a distribution: decoder, calibrated or one-step.",
        autocompletion=complete_rule,
        rich_help_panel=MODEL,
    ),
]
Effort: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="EFFORT",
        help="For compressors without a law, such as bz2: how much work the calibrated rule does, fast or best. "
        "Default: fast.",
        autocompletion=complete_effort,
        rich_help_panel=RARE_MODEL,
    ),
]
Context: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Know only the last N bytes before those to sample or score. Default: all of them.",
        rich_help_panel=RARE_PROMPT,
    ),
]


def jobs_option(cost: str = "") -> Any:
    """Return the option for the number of processes; ``cost`` says what several of them cost."""
    return typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help=f"The number of processes that work side by side.{cost}",
        rich_help_panel=RARE_FILES,
    )


Jobs: TypeAlias = Annotated[int, jobs_option()]
Force: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--force",
        "-f",
        help="Overwrite the output if it exists.",
        rich_help_panel=OUTPUT,
    ),
]
ModelFolder: TypeAlias = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="DIR", help="The folder for the model.", rich_help_panel=OUTPUT),
]
ForceFolder: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--force",
        "-f",
        help="Overwrite files in the folder even if this command did not write them.",
        rich_help_panel=OUTPUT,
    ),
]
Remove: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--rm/--keep",
        " /-k",
        help="Delete each file once its output is complete, or keep it.",
        rich_help_panel=RARE_FILES,
    ),
]
Recursive: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="For a directory, take the files in it and in those below it.",
        rich_help_panel=FILES,
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print nothing but errors, not even warnings.",
        rich_help_panel=RARE_OUTPUT,
    ),
]
Verbose: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Tell where each output goes, and which files in directories are left out.",
        rich_help_panel=RARE_OUTPUT,
    ),
]
AsJson: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object to standard output.",
        rich_help_panel=RARE_OUTPUT,
    ),
]
AsJsonLines: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print a JSON object to standard output for each file, each on a line.",
        rich_help_panel=RARE_OUTPUT,
    ),
]
DataRoot: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="COMPGEN_DATA",
        help="The folder of real data. docs/data.md says where to get it.",
        rich_help_panel=FILES,
    ),
]

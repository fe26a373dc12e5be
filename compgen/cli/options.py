"""Options that several commands share, so that one word means one thing everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer


def complete_spec(incomplete: str) -> list[str]:
    """Return the names of compressors and models that begin with what was typed."""
    from compgen.compressors import COMPRESSORS
    from compgen.models import MODELS

    return [name for name in (*COMPRESSORS.names(), *MODELS.names()) if name.startswith(incomplete)]


CompressorSpec: TypeAlias = Annotated[
    str,
    typer.Option(
        "--compressor",
        "-c",
        metavar="SPEC",
        help="Compressor or model: NAME, NAME:KEY=VALUE,..., 'command:PROGRAM ARGS', or a mixture, A+B. "
        "See: cgn compressors.",
        autocompletion=complete_spec,
        show_default=True,
    ),
]
PlainCompressorSpec: TypeAlias = Annotated[
    str,
    typer.Option(
        "--compressor", "-c", metavar="SPEC", help="Compressor: NAME, NAME:KEY=VALUE,... See: cgn compressors."
    ),
]
Rule: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="RULE", help="How code lengths become a distribution: calibrated, or one-step, the paper's."),
]
Effort: TypeAlias = Annotated[
    str | None, typer.Option(metavar="EFFORT", help="What the calibrated rule spends: fast or best.")
]
Jobs: TypeAlias = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        help="Processes. A file written by several has segments that know nothing of each "
        "other, which costs some rate.",
    ),
]
GivenCompressor: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--compressor",
        "-c",
        metavar="SPEC",
        help="The compressor that the file was written with: needed only where it names a program, a plugin or a path.",
    ),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", "-f", help="Overwrite the output if there is one.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object to standard output.")]
DataRoot: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", envvar="COMPGEN_DATA", help="Where real data lies; docs/data.md says where to get it."),
]

"""Options that several commands share, so that one word means one thing everywhere."""

from __future__ import annotations

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
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object to standard output.")]

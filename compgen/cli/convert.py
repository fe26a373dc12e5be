"""``cgn convert``: make a folder of a language model that comes as a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compgen.cli import files
from compgen.cli.help import FILES
from compgen.cli.options import ForceFolder, ModelFolder
from compgen.display import one_line
from compgen.errors import UsageError
from compgen.extras import check, need


def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A language model as a GGUF file.", rich_help_panel=FILES),
    ],
    out: ModelFolder,
    force: ForceFolder = False,
) -> None:
    """Convert a language model from GGUF. The folder is a model for --compressor llm:DIR.

    It needs the extras llm and gguf.

    Examples:
        cgn convert gemma-3-270m.gguf -o gemma
        cgn score story.txt -c llm:gemma

    Docs: docs/language-models.md
    """
    files.check_folder(str(out))
    if (out / "config.json").exists() and not force:
        raise UsageError(f"output '{out / 'config.json'}' exists already; name another directory, or use --force")
    if not source.is_file():
        raise UsageError(f"'{source}' is no file; name a GGUF file")
    check("gguf", "gguf", "reading GGUF files")
    need("compgen.neural.from_gguf", "llm", "converting language models").convert(source, out)
    print(f"{one_line(str(out))}: converted; use it as llm:{one_line(str(out))}")

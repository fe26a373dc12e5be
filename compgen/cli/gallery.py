"""``cgn gallery``: build a site of samples to read, look at and listen to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from compgen.cli import files
from compgen.cli.help import FILES, OUTPUT
from compgen.cli.options import ForceFolder
from compgen.cli.progress import progress
from compgen.display import one_line
from compgen.errors import UsageError
from compgen.extras import need


def gallery(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="The gallery: a TOML file, such as configs/gallery_demo.toml.",
            rich_help_panel=FILES,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="The folder for the site.",
            rich_help_panel=OUTPUT,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The folder of real data. Default: the environment variable COMPGEN_DATA.",
            rich_help_panel=FILES,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", metavar="N", help="The number of processes. Default: one for each core.", show_default=False
        ),
    ] = 0,
    force: ForceFolder = False,
) -> None:
    """Build a static site of samples. Its rows are prompts, its columns are compressors, rules and models.

    The path of the first page is printed as soon as the page is there; samples appear in it as they are finished.
    Every sample is kept in DIR/cells. So a build that was stopped continues, and after a change of the config
    only new samples are drawn. The pages open from a file, and load nothing from the network.

    Examples:
        cgn gallery configs/gallery_demo.toml -o site

    Docs: docs/gallery.md, docs/data.md
    """
    if jobs < 0:
        raise UsageError(f"--jobs must be 1 or more, not {jobs}")
    need("jinja2", "gallery", "a gallery")
    from compgen.compressors.base import threads
    from compgen.gallery.config import read_config
    from compgen.gallery.page import build, total

    wanted = read_config(Path(config))
    given = data or os.environ.get("COMPGEN_DATA")
    root = Path(given) if given else None
    files.check_folder(out)
    files.check_left_by_us(out, "index.html", "cells", force)
    # The bar takes over a standard output that is a terminal, and prints above itself.
    output = None if sys.stdout.isatty() else sys.stdout
    with progress("gallery", total(wanted, root)) as advance:
        build(wanted, Path(out), root, jobs or threads(), advance, ready=lambda page: _tell(page, output))


def _tell(page: Path, output: TextIO | None) -> None:
    print(one_line(str(page)), file=output, flush=True)

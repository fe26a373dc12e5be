"""``cgn verify``: whether a file decodes to what its checksums say."""

from __future__ import annotations

from typing import Annotated

import typer

from compgen.cli import files
from compgen.cli.options import GivenCompressor, Jobs
from compgen.cli.progress import progress


def verify(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A .cgn file; - is standard input.")],
    compressor: GivenCompressor = None,
    jobs: Jobs = 1,
) -> None:
    """Decode a file, check every checksum, and write nothing."""
    from compgen.coding.reader import Reader

    with files.opened(file, "file") as source, progress("verifying", None) as watch:
        total = sum(len(data) for data in Reader(source, compressor, jobs=jobs, watch=watch).segments())
    print(f"{file}: sound, {total} bytes")

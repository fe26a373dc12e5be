"""``cgn verify``: check that a file decodes to data that its checksums match."""

from __future__ import annotations

from typing import Annotated

import typer

from compgen.cli import files
from compgen.cli.options import GivenCompressor, Jobs
from compgen.cli.progress import progress


def verify(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The .cgn file; - is standard input.")],
    compressor: GivenCompressor = None,
    jobs: Jobs = 1,
) -> None:
    """Decode a file and check every checksum, without writing anything."""
    from compgen.coding.reader import Reader

    with files.opened(file, "file") as source, progress("verifying", None) as watch:
        total = sum(len(data) for data in Reader(source, compressor, jobs=jobs, watch=watch).segments())
    print(f"{file}: sound, {total} bytes")

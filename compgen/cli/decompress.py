"""``cgn decompress``: restore a compressed file."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated, BinaryIO

import typer

from compgen.atomic import replacing
from compgen.cli import files
from compgen.cli.compress import SUFFIX
from compgen.cli.options import Force, GivenCompressor, Jobs
from compgen.cli.progress import progress
from compgen.errors import UsageError


def decompress(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The file to decompress; - is standard input.")],
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="FILE|-", help="The output. Default: FILE without .cgn, or standard output for -."
        ),
    ] = None,
    compressor: GivenCompressor = None,
    jobs: Jobs = 1,
    force: Force = False,
) -> None:
    """Decompress a file. If it is damaged, or needs another build of a library, no output file is written.

    Standard output gets each segment as soon as its checksum holds.
    """
    if out is None and file != "-" and not file.endswith(SUFFIX):
        raise UsageError(f"'{file}' does not end in {SUFFIX}; name the output with -o")
    target = out if out is not None else "-" if file == "-" else file.removesuffix(SUFFIX)
    files.check_output(target, force, binary=False)
    files.check_other(target, file)

    from compgen.coding.reader import Reader

    with ExitStack() as stack:
        source = stack.enter_context(files.opened(file, "file"))
        watch = stack.enter_context(progress("decompressing", None))
        segments = Reader(source, compressor, jobs=jobs, watch=watch).segments()
        sink: BinaryIO = sys.stdout.buffer if target == "-" else stack.enter_context(replacing(target))
        for data in segments:
            sink.write(data)
        sink.flush()

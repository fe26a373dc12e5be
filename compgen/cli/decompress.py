"""``cgn decompress``: restore compressed files."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Annotated, Any, BinaryIO

import typer

from compgen.atomic import replacing
from compgen.cli import files
from compgen.cli.batch import Batch, shown
from compgen.cli.compress import SUFFIX
from compgen.cli.help import OUTPUT
from compgen.cli.messages import report, speed
from compgen.cli.options import (
    Files,
    Force,
    GivenCompressor,
    Jobs,
    MaxSize,
    MemLimit,
    Quiet,
    Recursive,
    Remove,
    Verbose,
)
from compgen.cli.progress import progress
from compgen.errors import CompgenError, UsageError


def decompress(
    inputs: Files = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE|-",
            help="The output; - is standard output. Default: FILE without .cgn for each FILE, and - for -.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    compressor: GivenCompressor = None,
    jobs: Jobs = 1,
    max_size: MaxSize = None,
    memlimit: MemLimit = None,
    force: Force = False,
    remove: Remove = False,
    recursive: Recursive = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Decompress files. If one is damaged, or needs another build of a library, no output file is written for it.

    Each output gets the permissions and the time of its file. Standard output gets each segment as soon as its
    checksum holds.

    Examples:
        cgn decompress story.txt.cgn
        cgn decompress story.txt.cgn -o - | less

    Docs: docs/format.md
    """
    batch = Batch(inputs, recursive, lambda name: name.endswith(SUFFIX), verbose=verbose and not quiet)
    files.check_one_output(out, batch.several)

    def target_of(file: str) -> str:
        return out if out is not None else "-" if file == "-" else file.removesuffix(SUFFIX)

    def check(file: str) -> None:
        if out is None and file != "-" and not file.endswith(SUFFIX):
            raise UsageError(f"'{file}' does not end in {SUFFIX}; name the output with -o")
        target = target_of(file)
        files.check_source(file, target, remove)
        files.check_output(target, force, binary=False)

    batch.check(check, target_of)

    from compgen.coding.budget import MEMORY, Budget
    from compgen.models import load

    model = load(compressor) if compressor is not None else None
    options = {"model": model, "jobs": jobs, "budget": Budget(memlimit or MEMORY, max_size)}

    def work(file: str) -> None:
        files.check_output(target_of(file), force, binary=False)  # again: those before it may have taken long
        begin = time.perf_counter()
        total = _decompress(file, target_of(file), options, remove, quiet)
        if verbose and not quiet:
            rate = speed(total / (time.perf_counter() - begin))
            report(f"{shown(file)} to {target_of(file)}: {total} bytes, {rate}")

    batch.each(work)
    batch.end()


def _size(source: BinaryIO) -> int | None:
    """Return the bytes that a file says it holds, for the time left; None if it is damaged or can be read only once."""
    from compgen.coding.container import EndFrame, SegmentFrame
    from compgen.coding.frame_reader import FrameReader

    if not source.seekable():
        return None
    total = 0
    try:
        frames = FrameReader(source)
        while True:
            frame = frames.read()
            if isinstance(frame, SegmentFrame):
                total += frame.length
            elif isinstance(frame, EndFrame) and not frames.go_on():
                return total
    except CompgenError:
        return None  # decoding says why
    finally:
        source.seek(0)


def _decompress(file: str, target: str, options: dict[str, Any], remove: bool, quiet: bool) -> int:
    """Decompress one file, and return the number of bytes written."""
    from compgen.coding.reader import Reader

    total = 0
    with ExitStack() as stack:
        source = stack.enter_context(files.opened(file, "file"))
        status = files.attributes(file, source)
        watch = stack.enter_context(progress("decompressing", _size(source), shown=not quiet))
        segments = Reader(source, watch=watch, **options).segments()
        sink: BinaryIO = sys.stdout.buffer if target == "-" else stack.enter_context(replacing(target, status))
        for data in segments:
            sink.write(data)
            total += len(data)
        sink.flush()
    if remove:
        files.remove(file, status)
    return total

"""``cgn compress``: a file, coded with a model's distributions."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from typing import Annotated, BinaryIO

import typer

from compgen.atomic import replacing
from compgen.cli import files
from compgen.cli.options import AsJson, CompressorSpec, Effort, Force, Jobs, Rule
from compgen.cli.progress import progress
from compgen.errors import UsageError

SUFFIX = ".cgn"
_PIECE = 1 << 16


def compress(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="File to compress; - is standard input.")],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE|-", help="Default: FILE.cgn; standard output for -.")
    ] = None,
    compressor: CompressorSpec = "gzip",
    rule: Rule = None,
    effort: Effort = None,
    context: Annotated[
        int | None, typer.Option(metavar="N", help="Look back N bytes at most. Default: the compressor's own window.")
    ] = None,
    jobs: Jobs = 1,
    lanes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Sequences coded side by side in a segment, 1 to 4,096: quicker for language models, at some cost in "
            "rate. Default: what suits model and file.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Decode each segment before it is written; takes twice as long."),
    ] = True,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compress a file with any compressor's distribution, or any model's; decompress gives it back, byte by byte.

    The source is kept. A file that cannot be compressed grows by 43 bytes, and 13 for each
    segment after the first, of a mebibyte or less.
    """
    target = out if out is not None else "-" if file == "-" else file + SUFFIX
    if as_json and target == "-":
        raise UsageError("--json is for standard output, where the compressed data goes; name a file with -o")
    files.check_output(target, force, binary=True)
    files.check_other(target, file)

    from compgen.coding.writer import Writer
    from compgen.models import load

    model = load(compressor, rule=rule, effort=effort, window=context)
    begin = time.perf_counter()
    with ExitStack() as stack:
        source = stack.enter_context(files.opened(file, "file"))
        size = os.fstat(source.fileno()).st_size if file != "-" else 0
        watch = stack.enter_context(progress("compressing", size or None))
        sink: BinaryIO = sys.stdout.buffer if target == "-" else stack.enter_context(replacing(target))
        with Writer(sink, model, jobs=jobs, lanes=lanes, verify=verify, total=size or None, watch=watch) as writer:
            total = 0
            while piece := source.read(_PIECE):
                writer.write(piece)
                total += len(piece)
        written = writer.written
    _report(str(model), total, written, time.perf_counter() - begin, as_json)


def _report(model: str, total: int, written: int, seconds: float, as_json: bool) -> None:
    rate = 8 * written / total if total else None
    if as_json:
        import json

        report = {"compressor": model, "bytes": total, "compressed_bytes": written, "bits_per_byte": rate}
        print(json.dumps({**report, "seconds": seconds, "bytes_per_second": total / seconds}))
    shown = "" if rate is None else f", {rate:.3f} bits per byte"
    print(f"{model}: {total} to {written} bytes{shown}, {total / seconds:.3g} bytes/s", file=sys.stderr)

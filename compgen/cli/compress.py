"""``cgn compress``: code a file with a model's distributions."""

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
"""The suffix of compressed files."""

_PIECE = 1 << 16
"""Bytes that are read at a time. Chosen."""


def compress(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The file to compress; - is standard input.")],
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="FILE|-", help="The output. Default: FILE.cgn, or standard output for -."),
    ] = None,
    compressor: CompressorSpec = "gzip",
    rule: Rule = None,
    effort: Effort = None,
    window: Annotated[
        int | None, typer.Option(metavar="N", help="Look back N to 2N - 1 bytes. Default: the compressor's own.")
    ] = None,
    jobs: Jobs = 1,
    lanes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The number of parts of each segment that are coded side by side, 1 to 4,096. More parts are faster "
            "for language models, and cost some rate. Default: what suits the model and the file.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Decode each segment before it is written, which takes twice as long."
        ),
    ] = True,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compress a file with the distribution of a compressor or a model. 'cgn decompress' restores it exactly.

    The file itself is kept. If it cannot be compressed, the output is 43 bytes longer, and 13 more for
    each segment after the first. A segment is usually a mebibyte.
    """
    target = out if out is not None else "-" if file == "-" else file + SUFFIX
    if as_json and target == "-":
        raise UsageError("--json is for standard output, where the compressed data goes; name a file with -o")
    files.check_output(target, force, binary=True)
    files.check_other(target, file)

    from compgen.coding.trust import DEFAULT_RULE
    from compgen.coding.writer import Writer
    from compgen.models import load

    model = load(compressor, rule=rule, effort=effort, window=window).resolved(DEFAULT_RULE)
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

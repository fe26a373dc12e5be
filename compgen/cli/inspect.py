"""``cgn inspect``: show what a compressed file holds, without decoding it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compgen.cli import files
from compgen.cli.options import AsJson


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The .cgn file; - is standard input.")],
    as_json: AsJson = False,
) -> None:
    """Show the model of a .cgn file, and its segments with their sizes and rates, without decoding it."""
    with files.opened(file, "file") as source:
        report = _report(source)
    if as_json:
        import json

        print(json.dumps(report))
        return
    from rich.console import Console
    from rich.table import Table

    from compgen.display import readable

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for key in ("format", "compressor", "versions", "fingerprint", "lanes", "independent", "bytes", "compressed_bytes"):
        if report[key] is not None:
            console.print(f"{key:<18}{readable(str(report[key]).encode())}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("segment", "kind", "bytes", "in the file", "bits per byte", "checksum"):
        table.add_column(heading, justify="left" if heading in ("kind", "checksum") else "right")
    for number, segment in enumerate(report["segments"], 1):
        rate = f"{8 * segment['compressed_bytes'] / segment['bytes']:.3f}"
        sizes = str(segment["bytes"]), str(segment["compressed_bytes"])
        table.add_row(str(number), segment["kind"], *sizes, rate, segment["checksum"])
    console.print(table)


def _report(source: Any) -> dict[str, Any]:
    from compgen.coding.container import VERSION, EndFrame, FrameReader, ModelFrame

    frames = FrameReader(source)
    named: ModelFrame | None = None
    segments: list[dict[str, Any]] = []
    while not isinstance(frame := frames.read(), EndFrame):
        if isinstance(frame, ModelFrame):
            named = frame
        else:
            kind = "stored" if not frame.coded else "tokens" if frame.tokens else "coded"
            segments.append(
                {"kind": kind, "bytes": frame.length, "compressed_bytes": frame.size, "checksum": frame.checksum.hex()}
            )
    return {
        "format": VERSION,
        "compressor": named and named.spec,
        "versions": named and named.versions,
        "fingerprint": named and named.fingerprint.hex(),
        "lanes": named and named.lanes,
        "independent": named and named.independent,
        "bytes": frame.length,
        "compressed_bytes": frames.read_bytes,
        "segments": segments,
    }

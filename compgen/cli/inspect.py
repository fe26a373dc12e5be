"""``cgn inspect``: show what a compressed file holds, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compgen.cli import files
from compgen.cli.batch import Batch
from compgen.cli.compress import SUFFIX
from compgen.cli.help import OUTPUT
from compgen.cli.messages import console
from compgen.cli.options import Files, Recursive
from compgen.display import one_line

if TYPE_CHECKING:
    from compgen.coding.frame_reader import FrameReader


def inspect(
    inputs: Files = None,
    recursive: Recursive = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a JSON object to standard output for each container, each on a line.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Show the model and the segments of .cgn files, without decoding them.

    A file may hold several containers, one after the other. Each is shown by itself.

    Examples:
        cgn inspect story.txt.cgn

    Docs: docs/format.md
    """
    is_first = True
    batch = Batch(inputs, recursive, lambda name: name.endswith(SUFFIX))

    def work(file: str) -> None:
        nonlocal is_first
        with files.opened(file, "file") as source:
            for number, report in enumerate(_reports(source), 1):
                if as_json:
                    import json

                    print(json.dumps({"file": file, "container": number, **report}), flush=True)
                    continue
                if not is_first:
                    print()
                is_first = False
                place = {"file": file} if batch.several else {}
                _print(place | ({"container": number} if number > 1 else {}), report)

    batch.each(work)
    batch.end()


def _print(place: dict[str, Any], report: dict[str, Any]) -> None:
    """Print what is known of a container: its place, if that needs saying, its model and its segments."""
    from rich.table import Table

    out = console(soft_wrap=True)
    for key, value in (place | report).items():
        if value is not None and key != "segments":
            out.print(f"{key:<18}{one_line(str(value))}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("segment", "kind", "bytes", "in the file", "bits per byte", "checksum"):
        table.add_column(heading, justify="left" if heading in ("kind", "checksum") else "right")
    for number, segment in enumerate(report["segments"], 1):
        rate = f"{8 * segment['compressed_bytes'] / segment['bytes']:.3f}"
        sizes = str(segment["bytes"]), str(segment["compressed_bytes"])
        table.add_row(str(number), segment["kind"], *sizes, rate, segment["checksum"])
    out.print(table)


def _reports(source: Any) -> Iterator[dict[str, Any]]:
    from compgen.coding.frame_reader import FrameReader

    frames = FrameReader(source)
    yield _report(frames)
    while frames.go_on():
        yield _report(frames)


def _report(frames: FrameReader) -> dict[str, Any]:
    from compgen.coding.container import MAGIC, EndFrame, ModelFrame

    begin = frames.read_bytes - len(MAGIC) - 1
    named: ModelFrame | None = None
    segments: list[dict[str, Any]] = []
    before = frames.read_bytes
    while not isinstance(frame := frames.read(), EndFrame):
        if isinstance(frame, ModelFrame):
            named = frame
        else:
            kind = "stored" if not frame.coded else "tokens" if frame.tokens else "coded"
            size = frames.read_bytes - before
            segments.append(
                {"kind": kind, "bytes": frame.length, "compressed_bytes": size, "checksum": frame.checksum.hex()}
            )
        before = frames.read_bytes
    return {
        "format": frames.version,
        "compressor": named and named.spec,
        "versions": (named and named.versions) or None,
        "fingerprint": named and named.fingerprint.hex(),
        "lanes": named and named.lanes,
        "independent": named and named.independent,
        "bytes": frame.length,
        "compressed_bytes": frames.read_bytes - begin,
        "segments": segments,
    }

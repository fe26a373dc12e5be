"""``cgn ncd``: measure how alike two files are to a compressor."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from compgen.cli import files
from compgen.cli.options import AsJson, PlainCompressorSpec
from compgen.errors import UsageError


def ncd(
    a: Annotated[str, typer.Argument(metavar="A", help="The first file; - is standard input.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The second file; - is standard input.")],
    compressor: PlainCompressorSpec = "xz",
    as_json: AsJson = False,
) -> None:
    """Print the normalised compression distance of two files: near 0 if they are alike, near 1 if not."""
    if a == b == "-":
        raise UsageError("standard input can be read once; name a file for A or B")
    first, second = files.read(a, "file"), files.read(b, "file")

    from compgen.compressors import COMPRESSORS
    from compgen.evaluation.ncd import ncd as distance
    from compgen.models import MODELS

    if compressor.partition(":")[0] in MODELS:
        raise UsageError(f"'{compressor}' is a model, not a compressor; what codes with it is model:{compressor}")
    measure = COMPRESSORS.build(compressor)
    value = distance(first, second, measure)
    if as_json:
        import json

        print(json.dumps({"compressor": str(measure), "ncd": value, "a_bytes": len(first), "b_bytes": len(second)}))
        return
    print(f"{value:.4f}")
    from compgen.compressors.deflate import Deflate

    if isinstance(measure, Deflate) and len(first) + len(second) > measure.window:
        print(
            f"cgn: {measure} sees only {measure.window} bytes back, less than these files; -c xz sees further",
            file=sys.stderr,
        )

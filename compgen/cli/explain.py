"""``cgn explain``: show how arithmetic coding narrows an interval byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compgen.cli import files
from compgen.cli.help import OUTPUT, PROMPT
from compgen.cli.messages import console
from compgen.cli.options import AsJson, CompressorSpec, Effort, Force, Rule
from compgen.errors import UsageError

if TYPE_CHECKING:
    from compgen.coding.explain import Explanation

_BAR = 40
"""Characters of a bar. Chosen: a row of the table fits into 120."""


def explain(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="The text to code, such as AIXI.", rich_help_panel=PROMPT),
    ],
    compressor: CompressorSpec = "gzip",
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            help="A file of the bytes before TEXT; - is standard input. Default: no bytes.",
            rich_help_panel=PROMPT,
        ),
    ] = None,
    rule: Rule = None,
    effort: Effort = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write the picture to this file, as SVG.", rich_help_panel=OUTPUT
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Explain arithmetic coding by the intervals of a text.

    Examples:
        cgn explain AIXI
        cgn explain AIXI --prompt story.txt -o aixi.svg

    Docs: docs/walk.md
    """
    if out is not None:
        if Path(out).suffix.lower() not in ("", ".svg"):
            raise UsageError(f"output '{out}' must end in .svg, the format of the picture")
        files.check_output(out, force, binary=False)
    context = files.read(prompt, "prompt") if prompt is not None else b""

    from compgen.coding.explain import explain as explained
    from compgen.models import load

    steps = explained(load(compressor, rule=rule, effort=effort), text.encode(errors="surrogateescape"), context)
    if out is not None:
        files.write(out, steps.svg().encode())
    if as_json:
        import json

        rows = [
            {
                "byte": s.symbol,
                "probability": s.probability,
                "bits": s.bits,
                "low": float(s.low),
                "width": float(s.width),
            }
            for s in steps.steps
        ]
        print(json.dumps({"steps": rows, "bits": steps.bits, "code": steps.code}))
        return
    _print(steps)


def _print(steps: Explanation) -> None:
    """Print a row for each byte, and the code of the whole text."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("byte", "probability", "bits", "its part of the interval before", "the interval"):
        table.add_column(heading, justify="right" if heading in ("probability", "bits") else "left", no_wrap=True)
    for step in steps.steps:
        before = sum(step.frequencies[: step.symbol]) / sum(step.frequencies)
        first = min(int(before * _BAR), _BAR - 1)
        length = max(1, round(step.probability * _BAR))
        bar = Text("·" * first) + Text("█" * min(length, _BAR - first), style="yellow")
        bar.append("·" * (_BAR - len(bar)))
        interval = f"[{float(step.low):.10f}, {float(step.low + step.width):.10f})"
        table.add_row(Text(step.label), f"{step.probability:.6f}", f"{step.bits:.3f}", bar, interval)
    page = console(width=120)
    page.print(table)
    page.print(f"\n{steps.bits:.3f} bits. Shortest code: 0.{steps.code} ({len(steps.code)} binary digits)")

"""``cgn compressors``: list what is available here."""

from __future__ import annotations

from typing import Any

from compgen.cli.messages import console
from compgen.cli.options import AsJson
from compgen.display import one_line


def compressors(as_json: AsJson = False) -> None:
    """List compressors and models with their options, and what is missing here.

    Examples:
        cgn compressors
        cgn compressors --json

    Docs: README.md, docs/decoder-law.md
    """
    entries = _entries()
    if as_json:
        import json

        print(json.dumps(entries))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading, justify in (
        ("name", "left"),
        ("resolution", "right"),
        ("window", "right"),
        ("law", "left"),
        ("library", "left"),
        ("options", "left"),
    ):
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading == "name")  # type: ignore[arg-type]
    for entry in entries:
        options = ",".join(f"{key}={value}" for key, value in entry.get("options", {}).items())
        table.add_row(
            entry["name"],
            f"{entry['resolution_bits']:g} bits" if entry.get("resolution_bits") else "-",
            f"{entry['window']}" if entry.get("window") else "-",
            entry.get("law", "-"),
            entry.get("version", "-") if entry["available"] else Text("missing", style="red"),
            options or "-",
        )
    page = console(soft_wrap=True)
    page.print(table)
    for entry in entries:
        if not entry["available"]:
            page.print(Text(one_line(entry["problem"]), style="red"))
    page.print(
        "\nresolution: the unit of code lengths. window: the default N; a derived model looks back N to 2N - 1 bytes.\n"
        "law: what rules decoder and calibrated follow: exact, read from the format; fitted, from code lengths; none.\n"
        "Every compressor also takes rule=calibrated, rule=one-step and window=N. Those with a law take rule=decoder,\n"
        "those without take effort=best, stride=N, pixel=N and depth=16. A+B is a mixture.\n"
        "'command:PROGRAM ARGS' is any program that compresses standard input to standard output.\n"
        "'lzma' is another name for xz."
    )


def _entries() -> list[dict[str, Any]]:
    """Return what is known about each compressor and model, as the JSON output has it."""
    import dataclasses

    from compgen.compressors import COMPRESSORS, Compressor
    from compgen.errors import CompgenError
    from compgen.models import MODELS

    entries: list[dict[str, Any]] = []
    for registry in (COMPRESSORS, MODELS):
        for name in registry.names(aliases=False):
            entry: dict[str, Any] = {"name": name, "kind": registry.kind, "available": True}
            entries.append(entry)
            try:
                cls: Any = registry.get(name)
            except CompgenError as error:
                entry |= {"available": False, "problem": str(error)}
                continue
            entry["options"] = {f.name: f.default for f in dataclasses.fields(cls) if not f.metadata.get("argument")}
            if issubclass(cls, Compressor):
                entry |= {"resolution_bits": cls.resolution, "window": cls.window, "law": cls.law_kind}
                entry["version"] = cls.version()
    return entries

"""``cgn compressors``: list what is available here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compgen.cli.messages import console
from compgen.cli.options import AsJson
from compgen.display import one_line

if TYPE_CHECKING:
    from rich.table import Table

_NOTES = """
resolution: the unit of code lengths. window: the default N under the rules below, which look back N to 2N - 1 bytes.
law: what rules decoder and calibrated follow: exact, read from the format; fitted, from code lengths; none.
Every compressor also takes rule=calibrated, rule=one-step and window=N. Those with a law take rule=decoder,
those without take effort=best, stride=N, pixel=N and depth=16. A+B is a mixture.
'command:PROGRAM ARGS' is any program that compresses standard input to standard output.
'lzma' is another name for xz."""
_SPEEDS = """
The rules are those of cgn sample and cgn compress where none is named. Speeds are bytes/s of English text on one core
of {machine}, without numba and with it; compressing includes decoding to verify.
numba {here}."""
_HERE = {True: "is installed here: the second figures hold", False: "is not installed here: the first figures hold"}


def compressors(as_json: AsJson = False) -> None:
    """List compressors and models with their options, rules, speeds and libraries, and what is not installed.

    Examples:
        cgn compressors
        cgn compressors --json

    Docs: README.md, docs/decoder-law.md
    """
    found = _found()
    if as_json:
        import json

        print(json.dumps(found))
        return
    from rich.text import Text

    page = console(soft_wrap=True)
    page.print(_kinds(found["entries"]))
    for entry in found["entries"]:
        if not entry["available"]:
            page.print(Text(one_line(entry["problem"]), style="red"))
    page.print(_NOTES + "\n")
    page.print(_speeds(found["entries"]))
    page.print(_SPEEDS.format(machine=one_line(found["measured_on"]), here=_HERE[found["numba"]]))
    if found["missing_extras"]:
        page.print("\nExtras that are not installed here:")
    for extra in found["missing_extras"]:
        page.print(Text(f"{extra['name']}: {extra['for']}: {extra['install']}", style="red"))


def _table(*headings: tuple[str, str]) -> Table:
    """Return an empty table whose columns have these headings, each justified as told."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading, justify in headings:
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading == "name")  # type: ignore[arg-type]
    return table


def _kinds(entries: list[dict[str, Any]]) -> Table:
    """Return the table of what the compressors and models are."""
    from rich.text import Text

    table = _table(
        ("name", "left"), ("resolution", "right"), ("window", "right"), ("law", "left"), ("library", "left"),
        ("options", "left"),
    )  # fmt: skip
    for entry in entries:
        options = " ".join(f"{key}={value}" for key, value in entry.get("options", {}).items())
        table.add_row(
            entry["name"],
            f"{entry['resolution_bits']:g} bits" if entry.get("resolution_bits") else "-",
            f"{entry['window']}" if entry.get("window") else "-",
            entry.get("law", "-"),
            entry.get("version", "-") if entry["available"] else Text("missing", style="red"),
            options or "-",
        )
    return table


def _speeds(entries: list[dict[str, Any]]) -> Table:
    """Return the table of the rules and speeds of what is available."""
    table = _table(
        ("name", "left"), ("sample by", "left"), ("bytes/s", "right"), ("numba", "right"), ("compress by", "left"),
        ("bytes/s", "right"), ("numba", "right"),
    )  # fmt: skip
    for entry in entries:
        if entry["available"]:
            cells = [entry["name"]]
            for task in ("sample", "compress"):
                speeds = entry["bytes_per_second"]
                cells.append(entry["rules"][task] if entry["rules"] else "-")
                cells += [f"{speed:,.0f}" for speed in speeds[task].values()] if speeds else ["-", "-"]
            table.add_row(*cells)
    return table


def _found() -> dict[str, Any]:
    """Return what is known about compressors, models and extras here, as the JSON output has it."""
    import json
    from pathlib import Path

    from compgen.compressors import COMPRESSORS
    from compgen.extras import EXTRAS, install, missing_extras
    from compgen.jit import numba_is_installed
    from compgen.models import MODELS

    measured = json.loads((Path(__file__).parent / "speeds.json").read_text())
    missing = missing_extras()
    entries = []
    for registry in (COMPRESSORS, MODELS):
        for name in registry.names(aliases=False):
            known = _entry(registry, name, missing)
            entries.append(known | {"bytes_per_second": _measured(registry, name, measured)})
    return {
        "entries": entries,
        "numba": numba_is_installed(),
        "measured_on": measured["machine"],
        "missing_extras": [
            {"name": name, "for": EXTRAS[name][1], "modules": EXTRAS[name][0], "install": install(name)}
            for name in missing
        ],
    }


def _measured(registry: Any, name: str, measured: dict[str, Any]) -> Any:
    """Return the speeds of a class of this package; None for those of others, and those that run something else."""
    return measured["bytes_per_second"].get(name) if registry.is_builtin(name) else None


def _entry(registry: Any, name: str, missing: list[str]) -> dict[str, Any]:
    """Return what is known about one compressor or model. ``missing`` are the extras that are not installed."""
    import dataclasses

    from compgen.coding.trust import DEFAULT_RULE
    from compgen.compressors import Compressor
    from compgen.errors import CompgenError
    from compgen.extras import lacking

    entry: dict[str, Any] = {"name": name, "kind": registry.kind, "available": True, "rules": None}
    try:
        cls: Any = registry.get(name)
        if (extra := registry.extra_of(name)) in missing:
            raise lacking(extra, f"{registry.kind} '{name}'")
    except CompgenError as error:
        return entry | {"available": False, "problem": str(error)}
    entry["options"] = {f.name: f.default for f in dataclasses.fields(cls) if not f.metadata.get("argument")}
    if issubclass(cls, Compressor):
        has_argument = any(field.metadata.get("argument") for field in dataclasses.fields(cls))
        window = cls.window if has_argument or cls.law_kind == "none" else cls().law_window
        entry |= {"resolution_bits": cls.resolution, "window": window, "law": cls.law_kind}
        entry["version"] = cls.version()
        entry["rules"] = {
            "sample": "calibrated" if cls.law_kind == "none" else "decoder",
            "compress": DEFAULT_RULE,
        }
    return entry

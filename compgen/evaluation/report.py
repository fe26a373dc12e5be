"""The report of a run: tables as CSV and Markdown, figures as files, and one HTML page with both."""

from __future__ import annotations

import hashlib
from pathlib import Path

from compgen.atomic import replacing
from compgen.evaluation import figures
from compgen.evaluation.run import Run
from compgen.evaluation.tables import Table

_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write(run: Run) -> list[Table]:
    """Write the report into the run's folder, and return its tables.

    Raises:
        MissingExtraError: matplotlib or Jinja is not installed.
    """
    figures.check_installed()
    tables = run.study.tables(run.records)
    drawn = run.study.figures(run.records)
    for folder in ("tables", "figures"):
        (run.out / folder).mkdir(exist_ok=True)
    for table in tables:
        _write(run.out / "tables" / f"{table.name}.csv", table.csv().encode())
    for name, figure in drawn.items():
        for kind in ("svg", "png"):
            _write(run.out / "figures" / f"{name}.{kind}", figures.render(figure, kind))
    pictures = [f"![{name}](figures/{name}.svg)\n" for name in drawn]
    _write(
        run.out / "report.md",
        "\n".join([f"# {run.study.title}\n", *pictures, *(t.markdown() for t in tables), _source(run)]).encode(),
    )
    _write(run.out / "report.html", page(run, tables).encode())
    return tables


def page(run: Run, tables: list[Table]) -> str:
    """Return the report as one HTML page that loads no other file."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    drawn = {
        # The XML declaration before the svg element has no place inside a page.
        name: Markup("<svg" + figures.render(figure, "svg").decode().split("<svg", 1)[1])  # noqa: S704 - drawn by matplotlib
        for name, figure in run.study.figures(run.records).items()
    }
    made = [name for name, one in run.provenance["identity"]["data"].items() if one["made"]]
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        run=run, tables=tables, figures=drawn, provenance=run.provenance, made=made, digests=_digests(run)
    )


def _source(run: Run) -> str:
    """Return a line that says where the figures come from."""
    facts = run.provenance
    machine = f"{facts['date']}, {facts['machine']}, commit {facts['commit'] or 'unknown'}, seed {facts['seed']}"
    return f"{machine}; {run.seconds:,.0f} s of work in {len(run.records)} shards.\n"


def _digests(run: Run) -> dict[str, str]:
    """Return a digest of the chunks of each set, as shards read them. The name of a part is the set's, and a comma."""
    digests = {}
    for one in run.study.sets:
        seen = "".join(record["data"] for record in run.records if f"{record['set']}, ".startswith(f"{one.name}, "))
        digests[one.name] = hashlib.blake2b(seen.encode(), digest_size=8).hexdigest()
    return digests


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)

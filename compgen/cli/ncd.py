"""``cgn ncd``: measure how alike files are to a compressor."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from compgen.cli import files
from compgen.cli.help import FILES, OUTPUT
from compgen.cli.messages import tell
from compgen.cli.options import AsJson, Force, Jobs, PlainCompressorSpec
from compgen.cli.progress import progress
from compgen.display import one_line
from compgen.errors import UsageError

if TYPE_CHECKING:
    from compgen.compressors import Compressor
    from compgen.evaluation.ncd import Distances

_PICTURES = (".png", ".svg")
"""Suffixes of the pictures that can be written."""
_LONGEST_NAME = 40
"""The most characters of a name in a table or a picture. Chosen: longer ones would leave no room for distances."""


Paths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="The files, two or more; - is standard input.",
        rich_help_panel=FILES,
    ),
]
Symmetric: TypeAlias = Annotated[
    bool, typer.Option("--symmetric", help="Take the mean of both orders, A before B and B before A.")
]
HeaderFree: TypeAlias = Annotated[
    bool,
    typer.Option("--header-free", help="Subtract the code length of an empty file from every code length."),
]
Out: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="Write a picture of all distances and of their clusters, .png or .svg.",
        rich_help_panel=OUTPUT,
    ),
]
AsCsv: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--csv",
        help="Print all distances to standard output, as CSV.",
        rich_help_panel=OUTPUT,
    ),
]


def ncd(
    paths: Paths,
    compressor: PlainCompressorSpec = "xz",
    symmetric: Symmetric = False,
    header_free: HeaderFree = False,
    jobs: Jobs = 1,
    out: Out = None,
    force: Force = False,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Print the normalised compression distance of files: near 0 if they are alike, near 1 if not.

    For more than two files a table has the distance of each (a row) to each (a column). Where its diagonal is not near
    0, the compressor does not see a copy of the file.

    Examples:
        cgn ncd cat.txt dog.txt
        cgn ncd *.txt -o clusters.svg

    Docs: docs/evaluation.md
    """
    if as_csv and as_json:
        raise UsageError("--csv and --json both go to standard output; give one of them")
    if len(paths) < 2:
        raise UsageError(f"a distance needs two files; name another beside '{paths[0]}'")
    if paths.count("-") > 1:
        raise UsageError("standard input can be read once; name files beside it")
    if out is not None:
        _check_picture(out, force)
    data = [files.read(path, "file") for path in paths]
    measure = _build(compressor)

    from compgen.evaluation.ncd import distances

    names = labels(paths)
    with progress("measure", None) as watch:
        found = distances(
            data, measure, names=names, symmetric=symmetric, header_free=header_free, jobs=jobs, watch=watch
        )
    if found.blindness:
        tell(found.blindness)
    if out is not None:
        from compgen.evaluation.figures import clusters, render

        options = ", symmetric" * symmetric + ", header-free" * header_free
        title = f"normalised compression distance, {measure}{options}"
        files.write(out, render(clusters(found.matrix, names, one_line(title)), Path(out).suffix[1:].lower()))
    if as_json:
        sizes = [len(item) for item in data]
        _print_json(found, paths, sizes, {"symmetric": symmetric, "header_free": header_free})
    elif as_csv:
        _print_csv(found, paths)
    elif len(paths) == 2:
        print(f"{found.matrix[0, 1]:.4f}")
    else:
        _print_table(found, names)


def _build(spec: str) -> Compressor:
    """Return the compressor that ``spec`` names.

    Raises:
        UsageError: it names a model, or nothing.
    """
    from compgen.compressors import COMPRESSORS
    from compgen.models import MODELS

    if spec.partition(":")[0] in MODELS:
        raise UsageError(f"'{spec}' is a model, not a compressor; what codes with it is model:{spec}")
    return COMPRESSORS.build(spec)


def _check_picture(out: str, force: bool) -> None:
    """Check before long work that a picture can be drawn and written to ``out``.

    Raises:
        UsageError: it has another suffix, exists and ``force`` is False, or cannot be written.
        MissingExtraError: matplotlib or SciPy is not installed.
    """
    from compgen.extras import check

    if Path(out).suffix.lower() not in _PICTURES:
        raise UsageError(f"output '{out}' must end in {' or '.join(_PICTURES)}, which names the format")
    files.check_output(out, force, binary=True)
    for module in ("matplotlib", "scipy"):
        check(module, "evaluation", "a picture of clusters")


def labels(paths: Sequence[str]) -> list[str]:
    """Return a short name for each path: its last parts, as many as tell the paths apart.

    A name that came before gets a number. Of a long one the end is kept. Nothing in a name controls a terminal.
    """
    parts = [Path(path).parts or (path,) for path in paths]
    depth = next(
        (d for d in range(1, max(map(len, parts))) if len({p[-d:] for p in parts}) == len(set(parts))),
        max(map(len, parts)),
    )
    short = [_clipped(one_line(str(Path(*p[-depth:])))) for p in parts]
    seen: Counter[str] = Counter()
    for place, name in enumerate(short):
        seen[name] += 1
        if seen[name] > 1:
            short[place] = f"{name} ({seen[name]})"
    return short


def _clipped(name: str) -> str:
    """Return the end of a name that is too long for a table or a picture."""
    return name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]


def _print_json(found: Distances, paths: Sequence[str], sizes: Sequence[int], options: dict[str, bool]) -> None:
    """Print one JSON object: the files, all distances, and for two files that of the first before the second."""
    import json

    lengths = found.lengths.tolist()
    report = {
        "compressor": str(found.compressor),
        **options,
        "files": [
            {"name": path, "bytes": size, "code_length_bits": length}
            for path, size, length in zip(paths, sizes, lengths, strict=True)
        ],
        "distances": found.matrix.tolist(),
        "warning": found.blindness or None,
    }
    if len(paths) == 2:
        report["ncd"] = float(found.matrix[0, 1])
    print(json.dumps(report))


def _print_csv(found: Distances, paths: Sequence[str]) -> None:
    """Print a line of names, and a line of distances for each file, its name before them."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [one_line(path) for path in paths]
    writer.writerow(["", *names])
    for name, row in zip(names, found.matrix.tolist(), strict=True):
        writer.writerow([name, *(f"{value:.6f}" for value in row)])


def _print_table(found: Distances, names: Sequence[str]) -> None:
    """Print a table whose columns have the numbers of the rows."""
    from rich.cells import cell_len, set_cell_size

    width, digits = max(map(cell_len, names)), len(str(len(names)))
    print(" " * (digits + width + 3), *(f"{number:>6}" for number in range(1, len(names) + 1)))
    for number, (name, row) in enumerate(zip(names, found.matrix, strict=True), 1):
        print(f"{number:>{digits}}  {set_cell_size(name, width)} ", *(f"{value:6.3f}" for value in row))

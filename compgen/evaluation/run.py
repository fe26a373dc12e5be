"""A run of a study: plan its shards, hand them to an engine, keep each result as it comes, resume after a stop.

A run has a folder::

    run.json        what decides the results (config, data, compressors), and where they were made
    results.jsonl   a line for each shard; when all are there, in the order of the plan. The bytes of the finished file
                    do not depend on the machine, the engine, or the number of stops
    timings.jsonl   a line for each shard: the seconds it took, and the process that ran it
    .lock           locked while the run goes on: two runs do not write to one folder
    tables/*.csv, figures/*, report.md, report.html
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from compgen.atomic import replacing
from compgen.coding.model_compressor import ModelCompressor
from compgen.compressors import Compressor
from compgen.errors import CompgenError, UsageError
from compgen.evaluation import json_lines
from compgen.evaluation.engines import Done
from compgen.evaluation.shards import Record, Shard
from compgen.evaluation.studies import load_study
from compgen.evaluation.studies.base import Place, Study, opened
from compgen.locks import alone_in
from compgen.models import ByteModel, load

_RESULTS, _TIMINGS = "results.jsonl", "timings.jsonl"

Engine: TypeAlias = Callable[[Sequence[Shard]], Iterator[Done]]
"""Runs shards and yields each result as it comes; see ``engines``."""

_LIBRARIES = (
    "compgen", "numpy", "zstandard", "brotli", "pyppmd", "numba", "torch", "transformers", "pillow", "soundfile", "ray"
)  # fmt: skip
"""Packages whose versions run.json states, if they are installed: those that results may depend on."""


@dataclass(frozen=True)
class Run:
    """A study that was run.

    Attributes:
        study: the study.
        records: the record of each shard, in the order of the plan.
        provenance: the content of run.json.
        out: the run's folder.
        seconds: the time that all shards took together, earlier runs included.
    """

    study: Study
    records: list[Record]
    provenance: dict[str, Any]
    out: Path
    seconds: float


def evaluate(
    config: str,
    out: str | Path,
    engine: Engine,
    *,
    root: str | None = None,
    values: Mapping[str, str] | None = None,
    resume: bool = False,
    limit: int = 0,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Run:
    """Run the study that ``config`` describes, and keep its results in the folder ``out``.

    Args:
        config: path of a TOML file.
        out: the run's folder; it is made if need be.
        engine: runs the shards; see ``engines``.
        root: the data root; None for made data.
        values: what stands for the names in the config's table ``[values]``.
        resume: continue an earlier run of the same study in ``out``.
        limit: the most chunks of each set; 0 for all.
        watch: called with the bytes done so far, and the total.

    Raises:
        UsageError: the config is wrong, data is missing, or ``out`` holds another run.
        CompgenError: a shard failed (the results before it are kept), a file of the run that is resumed is damaged, or
            another run writes to ``out``.
    """
    study, text = load_study(config, values)
    place = Place(root, limit, str(Path(out).resolve()))
    shards = study.plan(place)
    if not shards:
        raise UsageError("there is nothing to run: " + "; ".join(study.missing().values()))
    folder = Path(out)
    with alone_in(folder):
        provenance = _provenance(study, text, place)
        kept, spent = _begin(folder, provenance, resume)
        found = {record["id"]: record for record in kept}
        for one in _rest(shards, found, folder, engine, watch):
            found[one.shard.id] = one.record
            spent += one.seconds
        records = [found[shard.id] for shard in shards]
        json_lines.write(folder / _RESULTS, records)
    return Run(study, records, provenance, folder, spent)


def _rest(
    shards: Sequence[Shard],
    found: Mapping[str, Record],
    folder: Path,
    engine: Engine,
    watch: Callable[[int, int], None],
) -> Iterator[Done]:
    """Run the shards that are not in ``found``, and yield each one's result once it is on disk."""
    left = [shard for shard in shards if shard.id not in found]
    total = sum(shard.size for shard in shards)
    done = total - sum(shard.size for shard in left)
    watch(done, total)
    with (folder / _RESULTS).open("ab") as results, (folder / _TIMINGS).open("ab") as timings:
        for one in engine(left):
            json_lines.append(results, one.record)
            timing = {"bytes": one.shard.size, "seconds": round(one.seconds, 4), "worker": one.worker}
            json_lines.append(timings, {"id": one.shard.id, **timing})
            yield one
            done += one.shard.size
            watch(done, total)


def _begin(folder: Path, provenance: dict[str, Any], resume: bool) -> tuple[list[Record], float]:
    """Make the folder ready; return the records of the run that is resumed, if any, and the seconds that it took."""
    place = folder / "run.json"
    kept: list[Record] = []
    seconds = 0.0
    if place.exists():
        if not resume:
            raise UsageError(f"'{folder}' holds a run already; continue it with --resume, or choose another --out")
        before = _identity(place)
        for key, value in provenance["identity"].items():
            if before.get(key) != value:
                raise UsageError(f"'{folder}' holds a run with different {key}; choose another --out")
        kept = json_lines.read(folder / _RESULTS, "id")
        timings = json_lines.read(folder / _TIMINGS, "seconds")
        seconds = sum(timing["seconds"] for timing in timings)
        # What is appended next must not go on with a line that was torn.
        json_lines.write(folder / _RESULTS, kept)
        json_lines.write(folder / _TIMINGS, timings)
    elif (folder / _RESULTS).exists():
        raise UsageError(f"'{folder}' holds a {_RESULTS} without its run.json; choose another --out")
    with replacing(place) as file:
        file.write(json.dumps(provenance, indent=2).encode() + b"\n")
    return kept, seconds


def _identity(place: Path) -> dict[str, Any]:
    """Return what run.json at ``place`` says of the run that must be the same in a run that goes on with it.

    Raises:
        CompgenError: the file is damaged.
    """
    try:
        return dict(json.loads(place.read_text(encoding="utf-8"))["identity"])
    except (ValueError, TypeError, LookupError):
        raise CompgenError(f"'{place}' is damaged; choose another --out") from None


def _provenance(study: Study, text: str, place: Place) -> dict[str, Any]:
    missing = study.missing()
    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    sets = {}
    for one in study.sets:
        data = opened(one, place.root, study.seed, False)
        sets[one.name] = {"bytes": data.size, "listing": data.listing, "made": one.is_made(place.root)}
    return {
        "identity": {
            "config": hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
            "limit": place.limit,
            "data": sets,
            "compressors": {
                row.name: [row.spec, _version(study.build(row.spec))] for row in study.rows if row.name not in missing
            },
            "compgen": libraries.get("compgen"),
        },
        "title": study.title,
        "seed": study.seed,
        "root": place.root,
        "missing": missing,
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "libraries": libraries,
    }


def _version(built: Compressor | ByteModel) -> str:
    """Return the versions of the libraries, and the weights, that ``built`` depends on."""
    if isinstance(built, ModelCompressor):
        built = load(built.model)
    return built.versions if isinstance(built, ByteModel) else built.version()


def _machine() -> str:
    """Return the processor's name, its cores, and the load average if the system has one."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text(encoding="utf-8").splitlines() if names.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores{load}"


def _commit() -> str | None:
    """Return the commit of the package's files, with a plus sign if files have changed since; None outside git."""
    try:
        head, changed = (_git(*words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", ".")))
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(*words: str) -> str:
    folder = Path(__file__).parent
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()

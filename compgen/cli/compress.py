"""``cgn compress``: code files with a model's distributions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeAlias

import typer

from compgen.atomic import replacing
from compgen.cli import files
from compgen.cli.batch import Batch, shown
from compgen.cli.completion import complete_spec
from compgen.cli.help import MODEL, OUTPUT, RARE_MODEL, RARE_OUTPUT
from compgen.cli.messages import report, speed, tell
from compgen.cli.options import (
    AsJsonLines,
    Effort,
    Files,
    Force,
    Quiet,
    Recursive,
    Remove,
    Rule,
    Verbose,
    jobs_option,
)
from compgen.cli.progress import progress
from compgen.coding.levels import LEVELS, default_spec, spec_of
from compgen.errors import UsageError

if TYPE_CHECKING:
    from compgen.models import ByteModel

SUFFIX = ".cgn"
"""The suffix of compressed files."""

_PIECE = 1 << 16
"""Bytes that are read at a time. Chosen."""

_LONG = 60.0
"""Seconds from which on a job is announced. Chosen."""

Compressor: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--compressor",
        "-c",
        metavar="SPEC",
        help="The compressor or model, or a mixture A+B, in place of a level. 'cgn compressors' lists them. Default: "
        "-3 for files up to 16 KiB, and -1 otherwise.",
        autocompletion=complete_spec,
        show_default=False,
        rich_help_panel=MODEL,
    ),
]


def _level_option(level: int, *names: str) -> Any:
    """Return the option that chooses a level."""
    return typer.Option(f"-{level}", *names, help=f"Level {level}: {LEVELS[level]}.", rich_help_panel=MODEL)


Level1: TypeAlias = Annotated[bool, _level_option(1, "--fast")]
Level3: TypeAlias = Annotated[bool, _level_option(3)]
Level6: TypeAlias = Annotated[bool, _level_option(6)]
Level9: TypeAlias = Annotated[bool, _level_option(9, "--best")]
Out: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE|-",
        help="The output; - is standard output. Default: FILE.cgn for each FILE, and - for -.",
        rich_help_panel=OUTPUT,
    ),
]
Window: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Look back N to 2N - 1 bytes. Default: the compressor's own.",
        rich_help_panel=RARE_MODEL,
    ),
]
Jobs: TypeAlias = Annotated[
    int, jobs_option(" With several, the segments of a file know nothing of each other, which costs some rate.")
]
Lanes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=4096,
        help="The number of parts of each segment that are coded side by side, 1 to 4,096. More parts are faster "
        "for language models, and cost some rate. Default: what suits the model and the file.",
        rich_help_panel=RARE_MODEL,
    ),
]
Verify: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--verify/--no-verify",
        help="Decode each segment before it is written, which takes twice as long.",
        rich_help_panel=RARE_OUTPUT,
    ),
]


def compress(
    inputs: Files = None,
    out: Out = None,
    compressor: Compressor = None,
    level_1: Level1 = False,
    level_3: Level3 = False,
    level_6: Level6 = False,
    level_9: Level9 = False,
    rule: Rule = None,
    effort: Effort = None,
    window: Window = None,
    jobs: Jobs = 1,
    lanes: Lanes = None,
    verify: Verify = True,
    force: Force = False,
    remove: Remove = False,
    recursive: Recursive = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJsonLines = False,
) -> None:
    """Compress files with the distribution of a model. 'cgn decompress' restores them exactly.

    Each output gets the permissions and the time of its file. docs/format.md says by how much a file may grow.

    Examples:
        cgn compress story.txt
        cgn compress -r folder -c ppmd
        tar c folder | cgn compress > folder.tar.cgn

    Docs: docs/format.md, docs/calibration.md
    """
    levels = {1: level_1, 3: level_3, 6: level_6, 9: level_9}
    spec = _chosen(compressor, [level for level, given in levels.items() if given], rule)
    batch = Batch(inputs, recursive, lambda name: not name.endswith(SUFFIX), verbose=verbose and not quiet)
    files.check_one_output(out, batch.several)

    def target_of(file: str) -> str:
        return out if out is not None else "-" if file == "-" else file + SUFFIX

    def check(file: str) -> None:
        target = target_of(file)
        if out is None and file.endswith(SUFFIX):
            raise UsageError(f"'{file}' ends in {SUFFIX} already; to compress it again, name the output with -o")
        if as_json and target == "-":
            raise UsageError("--json is for standard output, where the compressed data goes; name a file with -o")
        files.check_source(file, target, remove)
        files.check_output(target, force, binary=True)

    batch.check(check, target_of)

    from compgen.coding.trust import DEFAULT_RULE
    from compgen.models import load

    def model_for(size: int | None) -> ByteModel:
        chosen = default_spec(size) if spec is None else spec
        return load(chosen, rule=rule, effort=effort, window=window).resolved(DEFAULT_RULE)

    model_for(None)  # says at once if options are wrong
    options = {"jobs": jobs, "lanes": lanes, "verify": verify}

    def work(file: str) -> None:
        target = target_of(file)
        files.check_output(target, force, binary=True)  # again: the files before this one may have taken long
        label = f"{shown(file)} to {target}: " if verbose else f"{shown(file)}: " if batch.several else ""
        done = _compress(file, target, model_for, options, remove, quiet)
        if as_json:
            import json

            print(json.dumps(done), flush=True)
        if not quiet:
            report(label + _summary(done))

    batch.each(work, go_on=out != "-")  # half a compressed file would spoil what comes after it
    batch.end()


def _chosen(compressor: str | None, levels: list[int], rule: str | None) -> str | None:
    """Return the spec that the options choose; None if they leave it to the size of a file.

    Raises:
        UsageError: they choose several.
    """
    if len(levels) > 1:
        raise UsageError(f"-{levels[0]} and -{levels[1]} are both levels; give one of them")
    if levels and (compressor is not None or rule is not None):
        other = "-c" if compressor is not None else "--rule"
        raise UsageError(
            f"-{levels[0]} chooses '{spec_of(levels[0])}', and {other} another model; leave one of the two out"
        )
    if levels:
        return spec_of(levels[0])
    return "gzip" if compressor is None and rule is not None else compressor


def _announce(name: str, model: ByteModel, size: int, options: dict[str, Any]) -> None:
    """Say how long a file will take, if that is long, and what would be faster."""
    from compgen.coding import timing
    from compgen.jit import numba_is_installed
    from compgen.models import load

    verify, jobs = options["verify"], options["jobs"]
    needed = timing.seconds(model, size, verify=verify, jobs=jobs)
    if needed is None or needed < _LONG:
        return
    fast = timing.seconds(load(spec_of(1)), size, verify=verify, jobs=jobs)
    faster = [f"-1 takes {_duration(fast)}"] if fast is not None and 2 * fast < needed else []
    if model.compiled_gain > 1 and not numba_is_installed():
        faster.append(f"pip install 'compgen[fast]' makes it {model.compiled_gain:.0f} times as fast")
    faster += ["--no-verify halves it"] if verify else []
    faster += ["--jobs shares it among processes"] if jobs == 1 else []
    tell(f"{name}: this takes {_duration(needed)} or so; {', '.join(faster)}".removesuffix("; "))


def _duration(seconds: float) -> str:
    """Return a time that is not known well: 40 seconds, 5 minutes, 3 hours."""
    hours, minutes = seconds / 3600, seconds / 60
    count, unit = (hours, "hour") if hours > 1.5 else (minutes, "minute") if minutes > 1.5 else (seconds, "second")
    return f"{round(count):,} {unit}{'' if round(count) == 1 else 's'}"


def _compress(
    file: str,
    target: str,
    model_for: Callable[[int | None], ByteModel],
    options: dict[str, Any],
    remove: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Compress one file, and return what ``--json`` prints of it."""
    from compgen.coding.budget import wanted_to_decode
    from compgen.coding.writer import Writer

    begin = time.perf_counter()
    with ExitStack() as stack:
        source = stack.enter_context(files.opened(file, "file"))
        status = files.attributes(file, source)
        size = status.st_size if status is not None else 0
        model = model_for(status and size)
        if size and not quiet:
            _announce(shown(file), model, size, options)
        watch = stack.enter_context(progress("compressing", size or None, shown=not quiet))
        sink: BinaryIO = sys.stdout.buffer if target == "-" else stack.enter_context(replacing(target, status))
        with Writer(sink, model, total=size or None, watch=watch, **options) as writer:
            total = 0
            while piece := source.read(_PIECE):
                writer.write(piece)
                total += len(piece)
    if (wanted := wanted_to_decode(model, writer.memory_to_decode)) and not quiet:
        tell(f"{shown(file)}: decoding it costs more than decompress allows; give decompress {' '.join(wanted)}")
    if remove:
        files.remove(file, status)
    seconds = time.perf_counter() - begin
    return {
        "file": file,
        "compressor": str(model),
        "bytes": total,
        "compressed_bytes": writer.written,
        "bits_per_byte": 8 * writer.written / total if total else None,
        "seconds": seconds,
        "bytes_per_second": total / seconds,
    }


def _summary(done: dict[str, Any]) -> str:
    rate = "" if done["bits_per_byte"] is None else f", {done['bits_per_byte']:.3f} bits per byte"
    sizes = f"{done['bytes']} to {done['compressed_bytes']} bytes"
    return f"{done['compressor']}: {sizes}{rate}, {speed(done['bytes_per_second'])}"

"""``cgn verify``: check that files decode to data that their checksums match."""

from __future__ import annotations

from compgen.cli import files
from compgen.cli.batch import Batch
from compgen.cli.compress import SUFFIX
from compgen.cli.options import Files, GivenCompressor, Jobs, MaxSize, MemLimit, Quiet, Recursive, Verbose
from compgen.cli.progress import progress
from compgen.display import one_line


def verify(
    inputs: Files = None,
    compressor: GivenCompressor = None,
    jobs: Jobs = 1,
    max_size: MaxSize = None,
    memlimit: MemLimit = None,
    recursive: Recursive = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Decode and check files; write nothing.

    Examples:
        cgn verify story.txt.cgn
        cgn verify -r folder

    Docs: docs/format.md
    """
    batch = Batch(inputs, recursive, lambda name: name.endswith(SUFFIX), verbose=verbose and not quiet)

    from compgen.coding.budget import MEMORY, Budget
    from compgen.coding.reader import Reader
    from compgen.models import load

    model = load(compressor) if compressor is not None else None
    budget = Budget(memlimit or MEMORY, max_size)

    def work(file: str) -> None:
        with files.opened(file, "file") as source, progress("verifying", None, shown=not quiet) as watch:
            segments = Reader(source, model, jobs=jobs, budget=budget, watch=watch).segments()
            total = sum(map(len, segments))
        if not quiet:
            print(f"{one_line(file)}: intact, {total} bytes", flush=True)

    batch.each(work)
    batch.end()

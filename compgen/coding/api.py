"""Compress and decompress data in the .cgn format, all at once or through a file object."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Literal, overload

from compgen.arguments import as_bytes, checked
from compgen.coding.budget import MEMORY, Budget
from compgen.coding.levels import default_spec
from compgen.coding.reader import Reader
from compgen.coding.trust import Model
from compgen.coding.writer import Writer
from compgen.errors import UsageError
from compgen.types import Progress


@checked
def compress(
    data: bytes | str,
    model: Model | None = None,
    *,
    jobs: int = 1,
    lanes: int | None = None,
    verify: bool = True,
    watch: Progress = lambda done: None,
) -> bytes:
    """Return ``data`` in the .cgn format, coded with the distributions of ``model``.

    Args:
        data: any bytes; text is encoded as UTF-8.
        model: a spec, a compressor, or a model. None for what suits the size, as ``cgn compress`` chooses it: see
            ``compgen.coding.levels``, which also has the specs of the levels.
        jobs: processes. With more than one, segments know nothing of each other, which costs some rate.
        lanes: parts of each segment that are coded side by side, which is faster for language models and costs some
            rate. By default, as many as suit the model and the number of bytes.
        verify: whether to decode each segment again before it is written.
        watch: called with the number of bytes done so far.

    Raises:
        UsageError: the spec is wrong, or an argument is out of range.
        CompgenError: the compressor failed, or a segment does not decode to its data.
    """
    out, data = io.BytesIO(), as_bytes(data, "data")
    model = default_spec(len(data)) if model is None else model
    with Writer(out, model, jobs=jobs, lanes=lanes, verify=verify, total=len(data), watch=watch) as writer:
        writer.write(data)
    return out.getvalue()


@checked
def decompress(
    blob: bytes,
    model: Model | None = None,
    *,
    jobs: int = 1,
    max_size: int | None = None,
    memlimit: int = MEMORY,
    watch: Progress = lambda done: None,
) -> bytes:
    """Return the data that ``compress`` was given, or that of several such blobs that follow one another.

    Args:
        blob: a whole file in the .cgn format.
        model: the model that the file was written with. It is needed only if the file names a program, a plugin or a
            path, since a file may not choose what is run or read; or if the model takes too long to start.
        jobs: processes. They help if the file was written with more than one, or with lanes.
        max_size: the most bytes that may come out; None for any number. Decoding takes time in proportion to them.
        memlimit: the most bytes of memory that decoding may take, as the models estimate it (``budget.py``).
        watch: called with the number of bytes done so far.

    Raises:
        CorruptDataError: the blob is damaged.
        IncompatibleError: the model behaves otherwise here than where the file was written, or must be given.
        LimitError: the blob holds more than ``max_size`` bytes, takes more memory than ``memlimit``, or names a model
            that takes too long to start.
        UsageError: the file was written with another model than ``model``, or a limit is out of range.
    """
    budget = Budget(memlimit, max_size)
    return b"".join(Reader(io.BytesIO(blob), model, jobs=jobs, budget=budget, watch=watch).segments())


@overload
def open(
    path: str | os.PathLike[str],
    mode: Literal["rb"] = "rb",
    model: Model | None = None,
    *,
    jobs: int = 1,
    memlimit: int = MEMORY,
) -> io.BufferedReader: ...
@overload
def open(
    path: str | os.PathLike[str], mode: Literal["wb"], model: Model | None = None, *, jobs: int = 1, verify: bool = True
) -> Writer: ...
@checked
def open(
    path: str | os.PathLike[str],
    mode: str = "rb",
    model: Model | None = None,
    *,
    jobs: int = 1,
    verify: bool = True,
    memlimit: int = MEMORY,
) -> io.BufferedReader | Writer:
    """Open a .cgn file as a file object: ``"rb"`` to read the data that it holds, ``"wb"`` to compress data into it.

    A file opened with ``"wb"`` replaces ``path`` when the object is closed, and not before. If a ``with`` block fails,
    the old file stays. The default model is gzip's law. With one job, the file is the one that ``compress``
    gives for the same data; for that, up to 16 MiB of data are held back if the best number of lanes depends on the
    total, as for language models. ``memlimit`` is for reading; see ``decompress``. A file is decoded one segment at a
    time, 16 MiB at most, as it is read; who reads it decides how much comes out.

    Raises:
        UsageError: the mode is neither, the spec is wrong, or an argument is out of range.
        CorruptDataError: the file to read does not begin as a .cgn file does.
        FileNotFoundError: there is no file to read.
    """
    if mode == "rb":
        source = Path(path).open("rb")  # noqa: SIM115 - the reader closes the file
        try:
            return io.BufferedReader(Reader(source, model, jobs=jobs, budget=Budget(memlimit), name=os.fspath(path)))
        except BaseException:
            source.close()
            raise
    if mode != "wb":
        raise UsageError(f"mode must be 'rb' or 'wb', not '{mode}'")
    return Writer.to_path(path, default_spec(None) if model is None else model, jobs=jobs, verify=verify)

"""Compress and decompress in the .cgn format: all at once, or as a file object."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Literal, overload

from compgen.coding.reader import Reader
from compgen.coding.segment import Progress
from compgen.coding.trust import Model
from compgen.coding.writer import Writer
from compgen.errors import UsageError


def compress(
    data: bytes,
    model: Model = "gzip",
    *,
    jobs: int = 1,
    lanes: int | None = None,
    verify: bool = True,
    watch: Progress = lambda done: None,
) -> bytes:
    """Return ``data`` in the .cgn format, coded with the distributions of ``model``.

    Args:
        data: any bytes.
        model: a spec, a compressor, or a model.
        jobs: processes; with more than one, segments know nothing of each other.
        lanes: sequences that are coded side by side in each segment, for models that are quicker so; by default as
            many as the model thinks suits so many bytes.
        verify: whether to decode each segment before it counts as written.
        watch: called with the number of bytes done so far.

    Raises:
        UsageError: the spec is wrong, or an argument is out of range.
        CompgenError: the compressor failed, or what was written does not decode.
    """
    out = io.BytesIO()
    with Writer(out, model, jobs=jobs, lanes=lanes, verify=verify, total=len(data), watch=watch) as writer:
        writer.write(data)
    return out.getvalue()


def decompress(blob: bytes, model: Model | None = None, *, jobs: int = 1, watch: Progress = lambda done: None) -> bytes:
    """Return what ``compress`` was given.

    Args:
        blob: a whole file in the .cgn format.
        model: needed where the file names a program, a plugin or a path, which no file may choose: the same again.
        jobs: processes; they help where the file was written with more than one.
        watch: called with the number of bytes done so far.

    Raises:
        CorruptDataError: the blob is damaged.
        IncompatibleError: it was written by what behaves otherwise here, or needs ``model``.
        UsageError: ``model`` is another than the file was written with.
    """
    return b"".join(Reader(io.BytesIO(blob), model, jobs=jobs, watch=watch).segments())


@overload
def open(
    path: str | os.PathLike[str], mode: Literal["rb"] = "rb", model: Model | None = None, *, jobs: int = 1
) -> io.BufferedReader: ...
@overload
def open(
    path: str | os.PathLike[str], mode: Literal["wb"], model: Model | None = None, *, jobs: int = 1, verify: bool = True
) -> Writer: ...
def open(
    path: str | os.PathLike[str], mode: str = "rb", model: Model | None = None, *, jobs: int = 1, verify: bool = True
) -> io.BufferedReader | Writer:
    """Open a .cgn file as a file object: ``"rb"`` to read what it holds, ``"wb"`` to compress into it.

    What is written takes the place of ``path`` when the object is closed, and not before; a ``with`` block that fails
    leaves the file as it was. To compress, ``model`` is gzip's unless given.

    Raises:
        UsageError: the mode is another.
    """
    if mode == "rb":
        source = Path(path).open("rb")  # noqa: SIM115 - the reader closes it
        try:
            return io.BufferedReader(Reader(source, model, jobs=jobs))
        except BaseException:
            source.close()
            raise
    if mode != "wb":
        raise UsageError(f"mode must be 'rb' or 'wb', not '{mode}'")
    return Writer.to_path(path, "gzip" if model is None else model, jobs=jobs, verify=verify)

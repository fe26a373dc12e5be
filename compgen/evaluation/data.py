"""Data sets as people have them on disk, read where they lie and piece by piece.

A set is a row of items: files, or what stands for one. A loader says how many bytes an item gives, and reads any
stretch of them, so that a shard of a study reads what it needs and no more. Paths with ``://`` are fsspec's; all others
are the file system's. What the paper's own loaders do (its repository, ``data_loaders.py``) is done the same way: gray
is the mean of the channels, cut off; images and utterances are cut to whole chunks; 16-bit sound keeps its high byte.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.evaluation import made
from compgen.extras import need
from compgen.registry import suggest

_REMOTE = "://"
"""What marks a path as a URL, which fsspec opens."""
_AHEAD = 1 << 16
"""Bytes fetched ahead of each small read of a remote picture or sound. Chosen: it holds the headers of a picture, which
are all that its size needs, and a file of a few MB still takes no more than some tens of requests."""


class Loader(ABC):
    """What makes bytes of a file. Subclasses are frozen dataclasses, small enough to travel with every shard."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the files that it takes from a folder; none for all of them."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Return how many bytes the item gives."""

    @abstractmethod
    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return ``size`` of these bytes from ``begin`` on."""


@dataclass(frozen=True)
class Bytes(Loader):
    """A file as it is: text, or anything else."""

    def size(self, path: str) -> int:
        """Return the size of the file."""
        if _REMOTE in path:
            system, inside = _fsspec().core.url_to_fs(path)
            return int(system.info(inside)["size"])
        return Path(path).stat().st_size

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return a stretch of the file."""
        with _opened(path, whole_stretches=True) as file:
            file.seek(begin)
            return bytes(file.read(size))


@dataclass(frozen=True)
class Images(Loader):
    """Pictures as gray patches of ``height`` x ``width``, row by row of patches; what is left at the edges goes."""

    height: int
    width: int

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

    def size(self, path: str) -> int:
        """Return the bytes of all whole patches."""
        with _opened(path) as file, _pillow().open(file) as image:
            width, height = image.size
        return int(height // self.height) * int(width // self.width) * self.height * self.width

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return a stretch of the patches."""
        return bytes(_patches(path, self.height, self.width)[begin : begin + size])


@functools.lru_cache(maxsize=8)
def _patches(path: str, height: int, width: int) -> bytes:
    with _opened(path) as file, _pillow().open(file) as image:
        gray = np.asarray(image.convert("RGB")).mean(axis=-1).astype(np.uint8)
    rows, columns = gray.shape[0] // height, gray.shape[1] // width
    cut = gray[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return bytes(cut.swapaxes(1, 2).tobytes())


@dataclass(frozen=True)
class Speech(Loader):
    """Sound as unsigned 8 bit, (x >> 8) + 128 of 16 bits, first channel; whole multiples of ``align`` samples."""

    align: int = 1

    suffixes: ClassVar[tuple[str, ...]] = (".flac", ".wav", ".ogg")

    def size(self, path: str) -> int:
        """Return the number of samples."""
        with _opened(path) as file:
            return int(_soundfile().info(file).frames) // self.align * self.align

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return a stretch of the samples."""
        with _opened(path) as file:
            samples, _ = _soundfile().read(file, frames=size, start=begin, dtype="int16", always_2d=True)
        return bytes(((samples[:, 0] >> 8) + 128).astype(np.uint8))


@dataclass(frozen=True)
class Made(Loader):
    """What the project makes itself, by ``seed``: the path is one of ``made.KINDS``."""

    seed: int
    length: int

    def size(self, path: str) -> int:
        """Return the bytes asked for."""
        return self.length

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return a stretch of them, made of whole blocks."""
        blocks = range(begin // made.BLOCK, -(-(begin + size) // made.BLOCK))
        joined = b"".join(made.block(path, self.seed, number) for number in blocks)
        return joined[begin % made.BLOCK :][:size]


@dataclass(frozen=True)
class Piece:
    """``size`` bytes of what ``loader`` makes of ``path``, from ``begin`` on."""

    loader: Loader
    path: str
    begin: int
    size: int

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            UsageError: the file is not what it was when the study was planned.
        """
        data = self.loader.read(self.path, self.begin, self.size)
        if len(data) != self.size:
            raise UsageError(f"'{self.path}' has changed since the study was planned; begin anew in another --out")
        return data


class DataSet:
    """Items in a row, as one string of bytes that can be read anywhere."""

    def __init__(self, name: str, items: Sequence[Piece]) -> None:
        self.name = name
        self._items = items
        self._ends = list(itertools.accumulate(item.size for item in items))

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._ends[-1] if self._ends else 0

    @property
    def listing(self) -> str:
        """A digest of the items' names and sizes, which tells whether two runs mean the same files."""
        lines = "\n".join(f"{item.loader} {Path(item.path).name} {item.size}" for item in self._items)
        return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()

    def first(self, size: int) -> DataSet:
        """Return the first ``size`` bytes, or all where there are less."""
        return DataSet(self.name, self.cut(0, min(size, self.size)))

    def cut(self, begin: int, size: int) -> tuple[Piece, ...]:
        """Return the pieces that hold ``size`` bytes from ``begin`` on."""
        pieces = []
        index = bisect.bisect_right(self._ends, begin)
        while size:
            item, before = self._items[index], self._ends[index] - self._items[index].size
            inside = begin - before
            taken = min(size, item.size - inside)
            pieces.append(Piece(item.loader, item.path, item.begin + inside, taken))
            begin, size, index = begin + taken, size - taken, index + 1
        return tuple(pieces)


@dataclass(frozen=True)
class SetConfig:
    """A set as a config names it.

    Attributes:
        name: what tables call it.
        loader: ``bytes``, ``images``, ``speech`` or ``random``.
        paths: files, and folders of files, under the data root.
        models: what of it models score, where they may have been trained on the rest; all of it by default.
        made: what stands for it where there is no data: ``text``, ``image`` or ``speech``.
        size: bytes of made or random data.
        files: so many of the files, drawn by the seed; 0 for all.
        height: of image patches.
        width: of image patches, and of the rows in a set of patches.
        align: bytes to whose multiple utterances are cut.
        mapping: how the paper made 7 bits of it: ``clear`` the top bit, or ``shift`` everything right by one.
        paper: the paper's name for it, where it has such a set.
        get: where it can be had.
    """

    name: str
    loader: str = "bytes"
    paths: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    made: str = ""
    size: int = 1 << 20
    files: int = 0
    height: int = 32
    width: int = 64
    align: int = 2048
    mapping: str = "shift"
    paper: str = ""
    get: str = "docs/data.md says where"

    def __post_init__(self) -> None:
        for value, known in (
            (self.loader, ("bytes", "images", "speech", "random")),
            (self.made, ("", *made.KINDS)),
            (self.mapping, ("clear", "shift")),
        ):
            if value not in known:
                raise UsageError(f"set '{self.name}': '{value}' is not known{suggest(value, filter(None, known))}")
        if min(self.size, self.height, self.width, self.align) < 1 or self.files < 0:
            raise UsageError(f"set '{self.name}': size, height, width and align must be 1 or more, files 0 or more")

    def is_made(self, root: str | None) -> bool:
        """Return whether the project makes it: no data root was given, and it is to be read from one."""
        return self.loader != "random" and root is None

    def open(self, root: str | None, seed: int, for_models: bool = False) -> DataSet:
        """Return the set under ``root``; without one, what stands for it.

        Raises:
            UsageError: there is no such file, or nothing stands for it.
            MissingExtraError: reading it needs a package that is not installed.
        """
        if self.loader == "random" or root is None:
            kind = "random" if self.loader == "random" else self.made
            if not kind:
                raise UsageError(f"set '{self.name}' needs real data; give --data DIR ({self.get})")
            # Made sets of different names differ: one may be held out from the other.
            made = Made(seed + zlib.crc32(self.name.encode()), self.size)
            return DataSet(self.name, [Piece(made, kind, 0, self.size)])
        loader = self._loader()
        paths = (for_models and self.models) or self.paths
        files = [file for path in paths for file in self._files(f"{root.rstrip('/')}/{path}", loader.suffixes)]
        if self.files:
            files = [files[i] for i in sorted(permutation(len(files), seed, self.name)[: self.files])]
        items = [Piece(loader, file, 0, loader.size(file)) for file in files]
        if not any(item.size for item in items):
            raise UsageError(f"set '{self.name}' is empty; check what lies under '{root}'")
        return DataSet(self.name, [item for item in items if item.size])

    def _loader(self) -> Loader:
        if self.loader == "images":
            return Images(self.height, self.width)
        return Speech(self.align) if self.loader == "speech" else Bytes()

    def _files(self, path: str, suffixes: tuple[str, ...]) -> list[str]:
        """Return the file at ``path``, or those in and below the folder that a loader with these suffixes takes."""
        if _REMOTE in path:
            system, inside = _fsspec().core.url_to_fs(path)
            found = [inside] if system.isfile(inside) else sorted(system.find(inside))
            files = [str(system.unstrip_protocol(name)) for name in found]
        elif (place := Path(path)).is_dir():
            files = sorted(str(file) for file in place.rglob("*") if file.is_file())
        else:
            files = [path] if place.is_file() else []
        files = [file for file in files if not suffixes or file.lower().endswith(suffixes)]
        if not files:
            wanted = f" with a file of {', '.join(suffixes)}" if suffixes else ""
            raise UsageError(f"set '{self.name}': there is no '{path}'{wanted}; to get it: {self.get}")
        return files


def permutation(count: int, seed: int, name: str) -> NDArray[np.int64]:
    """Return 0 to ``count`` - 1 in an order drawn by the seed and the name: samples of it are nested."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(count)


def _opened(path: str, whole_stretches: bool = False) -> BinaryIO:
    """Open a file that can be read anywhere; of a remote one only what is read, and a little more, is fetched.

    Args:
        path: a local path or a URL.
        whole_stretches: each read is a whole stretch of data, so that nothing need be fetched ahead of the next.
    """
    if _REMOTE not in path:
        return Path(path).open("rb")
    system, inside = _fsspec().core.url_to_fs(path)
    # By default fsspec fetches 5 MB ahead of each read: 2,500 times a chunk of 2 KB. Without a cache each read is one
    # request for exactly its bytes. The libraries that read pictures and sound ask for some bytes at a time, so for
    # them a request fetches a block ahead.
    cache = "none" if whole_stretches else "readahead"
    file: BinaryIO = system.open(inside, "rb", cache_type=cache, block_size=_AHEAD)
    return file


def _fsspec() -> Any:
    return need("fsspec", "evaluation", "a remote path")


def _pillow() -> Any:
    return need("PIL.Image", "media", "a picture")


def _soundfile() -> Any:
    return need("soundfile", "media", "sound")

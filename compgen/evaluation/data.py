"""Data sets, read from the files that people have, piece by piece.

A set is a sequence of items: files, or data that the project makes. A loader says how many bytes an item gives, and
reads any stretch of them. So a shard of a study reads the bytes it needs and no more. Paths with ``://`` are opened by
fsspec, all others by the file system.

Files become bytes as in the paper's own loaders (its repository, ``data_loaders.py``): gray is the mean of the colour
channels without its fraction; images and utterances are cut to whole chunks; 16-bit sound keeps its high byte.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.evaluation import made
from compgen.extras import need
from compgen.media import picture_files, sound_files
from compgen.media.quiet import quiet
from compgen.registry import suggest

_REMOTE = "://"
"""Part of every URL and of no local path."""
_AHEAD = 1 << 16
"""Bytes fetched ahead of a read of a remote picture or sound. Chosen: one such block holds a picture's header, which
gives its size, and a file of a few MB takes some tens of requests."""


class Loader(ABC):
    """Turns a file into bytes. Subclasses are frozen dataclasses, small enough to be sent with every shard."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that the loader takes from a folder; empty for all files."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Return the number of bytes that the item at ``path`` gives."""

    @abstractmethod
    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return ``size`` bytes of the item, from offset ``begin`` on; fewer if the item ends before."""


@dataclass(frozen=True)
class Bytes(Loader):
    """The bytes of a file, unchanged."""

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
class Text(Bytes):
    """The bytes of a file of text, unchanged; of a folder, only files whose suffix says that they are text."""

    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".md", ".rst", ".tex", ".html")


@dataclass(frozen=True)
class Images(Loader):
    """A picture as gray patches of ``height`` x ``width`` pixels, row by row of patches. Ragged edges are cut off."""

    height: int
    width: int

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

    def size(self, path: str) -> int:
        """Return the number of pixels in whole patches."""
        with _picture(path) as image:
            width, height = image.size
        return int(height // self.height) * int(width // self.width) * self.height * self.width

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return a stretch of the patches' bytes."""
        return bytes(_patches(path, self.height, self.width)[begin : begin + size])


@functools.lru_cache(maxsize=8)
def _patches(path: str, height: int, width: int) -> bytes:
    with _picture(path) as image:
        gray = np.asarray(picture_files.high_bytes(image).convert("RGB")).mean(axis=-1).astype(np.uint8)
    rows, columns = gray.shape[0] // height, gray.shape[1] // width
    cut = gray[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return bytes(cut.swapaxes(1, 2).tobytes())


@dataclass(frozen=True)
class Speech(Loader):
    """Sound as unsigned 8-bit samples, (x >> 8) + 128 for each 16-bit x of the first channel.

    The number of samples is cut to a multiple of ``align``.
    """

    align: int = 1

    suffixes: ClassVar[tuple[str, ...]] = (".flac", ".wav", ".ogg")

    def size(self, path: str) -> int:
        """Return the number of samples, a byte each."""
        with _sound(path) as file:
            return int(file.frames) // self.align * self.align

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Return a stretch of the samples."""
        with _sound(path) as file:
            file.seek(begin)
            floats = file.subtype in sound_files.FLOATS  # of these, libsndfile's own int16 is the fraction cut off
            samples = file.read(size, dtype="float64" if floats else "int16", always_2d=True)[:, 0]
        samples = sound_files.sixteen(samples) if floats else samples
        return bytes(((samples >> 8) + 128).astype(np.uint8))


@dataclass(frozen=True)
class Made(Loader):
    """Data that the project makes itself from ``seed``, ``length`` bytes of it. The path is one of ``made.KINDS``."""

    seed: int
    length: int

    def size(self, path: str) -> int:
        """Return ``length``."""
        return self.length

    def read(self, path: str, begin: int, size: int) -> bytes:
        """Make the blocks that hold the stretch, and return the stretch."""
        blocks = range(begin // made.BLOCK, -(-(begin + size) // made.BLOCK))
        joined = b"".join(made.block(path, self.seed, number) for number in blocks)
        return joined[begin % made.BLOCK :][:size]


@dataclass(frozen=True)
class Piece:
    """The ``size`` bytes from offset ``begin`` on, of those that ``loader`` makes of ``path``."""

    loader: Loader
    path: str
    begin: int
    size: int

    def read(self) -> bytes:
        """Return the bytes of the piece.

        Raises:
            UsageError: the file has become shorter since the study was planned.
        """
        data = self.loader.read(self.path, self.begin, self.size)
        if len(data) != self.size:
            raise UsageError(f"'{self.path}' has changed since the study was planned; start again with another --out")
        return data


class DataSet:
    """Items one after the other, as one byte string of which any stretch can be read."""

    def __init__(self, name: str, items: Sequence[Piece]) -> None:
        self.name = name
        self._items = items
        self._ends = list(itertools.accumulate(item.size for item in items))

    @property
    def size(self) -> int:
        """Total number of bytes."""
        return self._ends[-1] if self._ends else 0

    @property
    def listing(self) -> str:
        """Digest of the items' names and sizes. Runs on the same files have equal digests."""
        lines = "\n".join(f"{item.loader} {Path(item.path).name} {item.size}" for item in self._items)
        return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()

    def first(self, size: int) -> DataSet:
        """Return the first ``size`` bytes of the set, or the whole set if it is shorter."""
        return DataSet(self.name, self.cut(0, min(size, self.size)))

    def cut(self, begin: int, size: int) -> tuple[Piece, ...]:
        """Return the pieces that together are the ``size`` bytes from offset ``begin`` on."""
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
    """A data set as a config describes it (``[[sets]]``).

    Attributes:
        name: name of the set in tables.
        loader: ``bytes``, ``text``, ``images``, ``speech`` or ``random``.
        paths: files, and folders of files, under the data root; elsewhere if they begin with ``/``, ``./`` or ``../``.
        models: the paths that models are scored on, if a model may have been trained on the others; all by default.
        made: the data that the project makes if there is no data root: ``text``, ``image`` or ``speech``.
        size: bytes of made or random data.
        files: number of files to draw by the seed; 0 for all.
        height: height of image patches, pixels.
        width: width of image patches, pixels.
        align: utterances are cut to a multiple of this number of bytes.
        mapping: how the paper drops a bit of each byte: ``clear`` the top bit, or ``shift`` right by one.
        paper: the paper's name for this set; empty if the paper has no such set.
        get: where to get the data, for the error message when it is missing.
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
            (self.loader, ("bytes", "text", "images", "speech", "random")),
            (self.made, ("", *made.KINDS)),
            (self.mapping, ("clear", "shift")),
        ):
            if value not in known:
                raise UsageError(f"set '{self.name}': '{value}' is not known{suggest(value, filter(None, known))}")
        if min(self.size, self.height, self.width, self.align) < 1 or self.files < 0:
            raise UsageError(f"set '{self.name}': size, height, width and align must be 1 or more, files 0 or more")

    def is_made(self, root: str | None) -> bool:
        """Return whether made data stands for this set: it is read from a data root, and there is none."""
        anywhere = bool(self.paths) and all(map(_is_anywhere, self.paths))
        return self.loader != "random" and root is None and not anywhere

    def open(self, root: str | None, seed: int, for_models: bool = False) -> DataSet:
        """Return the set.

        Args:
            root: the data root, a folder or a URL; None for data that the project makes.
            seed: seed of made data, and of the choice of ``files``.
            for_models: take the paths under ``models``.

        Raises:
            UsageError: a file is missing, or there is no data root and no made data stands for the set.
            MissingExtraError: reading the set needs a package that is not installed.
        """
        if self.loader == "random" or self.is_made(root):
            kind = "random" if self.loader == "random" else self.made
            if not kind:
                raise UsageError(f"set '{self.name}' needs real data; give --data DIR ({self.get})")
            # The name is part of the seed: of two made sets, one may be held out from the other.
            made = Made(seed + zlib.crc32(self.name.encode()), self.size)
            return DataSet(self.name, [Piece(made, kind, 0, self.size)])
        loader = self._loader()
        paths = (for_models and self.models) or self.paths
        places = [path if _is_anywhere(path) or root is None else f"{root.rstrip('/')}/{path}" for path in paths]
        files = [file for place in places for file in self._files(place, loader.suffixes)]
        if self.files:
            files = [files[i] for i in sorted(permutation(len(files), seed, self.name)[: self.files])]
        items = [Piece(loader, file, 0, loader.size(file)) for file in files]
        if not any(item.size for item in items):
            raise UsageError(f"set '{self.name}' is empty; check the files under '{root}'")
        return DataSet(self.name, [item for item in items if item.size])

    def _loader(self) -> Loader:
        if self.loader == "images":
            return Images(self.height, self.width)
        if self.loader == "speech":
            return Speech(self.align)
        return Text() if self.loader == "text" else Bytes()

    def _files(self, path: str, suffixes: tuple[str, ...]) -> list[str]:
        """Return the file at ``path``; for a folder, all files in and below it that have one of ``suffixes``."""
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


def _is_anywhere(path: str) -> bool:
    """Return whether a path of a config is not one under the data root."""
    return path.startswith(("/", "./", "../"))


def permutation(count: int, seed: int, name: str) -> NDArray[np.int64]:
    """Return 0 to ``count`` - 1 in an order drawn by the seed and the name. Its beginnings are nested samples."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(count)


def _opened(path: str, whole_stretches: bool = False) -> BinaryIO:
    """Open a file for reading and seeking. Of a remote file only the bytes read, or a block with them, are fetched.

    Args:
        path: a local path or a URL.
        whole_stretches: the caller reads all bytes it needs in one call, so nothing is fetched ahead.
    """
    if _REMOTE not in path:
        return Path(path).open("rb")
    system, inside = _fsspec().core.url_to_fs(path)
    # By default fsspec fetches 5 MB ahead of each read, 2,500 times a chunk of 2 KB. Without a cache, each read is one
    # request for exactly its bytes. Pillow and libsndfile read a few bytes at a time; a small read-ahead serves them.
    cache = "none" if whole_stretches else "readahead"
    file: BinaryIO = system.open(inside, "rb", cache_type=cache, block_size=_AHEAD)
    return file


def _fsspec() -> Any:
    return need("fsspec", "evaluation", "a remote path")


@contextmanager
def _picture(path: str) -> Iterator[Any]:
    """Open a picture as a Pillow image.

    Raises:
        UsageError: the file is no picture of a format that is read, or is damaged.
    """
    library = picture_files.pillow()
    with (
        _readable(path, "picture"),
        _opened(path) as file,
        library.Image.open(file, formats=picture_files.DECODERS) as image,
    ):
        yield image


@contextmanager
def _sound(path: str) -> Iterator[Any]:
    """Open a file of sound with libsndfile. Errors as in ``_picture``."""
    library = sound_files.soundfile()
    with _readable(path, "sound"), _opened(path) as file, library.SoundFile(file) as sound:
        yield sound


@contextmanager
def _readable(path: str, kind: str) -> Iterator[None]:
    """Turn what libraries raise at a damaged file, which may be anything, into an error that names the file."""
    try:
        with quiet(path.lower().endswith((".tif", ".tiff"))):
            yield
    except (UsageError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the file, and not its content
            raise
        raise UsageError(
            f"'{path}' is damaged, or no {kind} of a format that is read ({type(error).__name__}); get it whole, or "
            "take it out of the set"
        ) from None

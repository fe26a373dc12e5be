"""Files in the .cgn format: compress and decompress, all at once or as file objects, in bounded memory."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, overload

from compgen.atomic import replacing
from compgen.coding import rans, segment
from compgen.coding.container import (
    MAX_LANES,
    MAX_SEGMENT,
    MAX_SPEC,
    SEGMENT,
    EndFrame,
    FrameReader,
    FrameWriter,
    ModelFrame,
    SegmentFrame,
    checksum,
)
from compgen.coding.fingerprint import fingerprint
from compgen.coding.jobs import Jobs
from compgen.coding.segment import Watch
from compgen.compressors.base import Compressor
from compgen.errors import CompgenError, CorruptDataError, IncompatibleError, OutOfMemoryError, UsageError
from compgen.models import ByteModel, State, load, load_from_file
from compgen.models.base import PRECISION, WORTH_A_LANE
from compgen.neural.llm import LanguageModel
from compgen.registry import Spec, split_mixture

_CHECKPOINT = 1 << 17

Model: TypeAlias = str | Spec | Compressor | ByteModel


def compress(
    data: bytes,
    model: Model = "gzip",
    *,
    jobs: int = 1,
    lanes: int | None = None,
    verify: bool = True,
    watch: Watch = lambda done: None,
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
    model = load(model)
    lanes, size = layout(model, len(data), jobs, lanes)
    with Writer(out, model, jobs=jobs, lanes=lanes, verify=verify, segment_size=size, watch=watch) as writer:
        writer.write(data)
    return out.getvalue()


def decompress(blob: bytes, model: Model | None = None, *, jobs: int = 1, watch: Watch = lambda done: None) -> bytes:
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


def layout(model: ByteModel, total: int, jobs: int, lanes: int | None = None) -> tuple[int, int]:
    """Return how many lanes suit ``total`` bytes, unless given, and how many bytes go into a segment."""
    # As many segments as keep all jobs busy.
    most = min(MAX_SEGMENT, max(1 << 14, -(-total // jobs))) if jobs > 1 else MAX_SEGMENT
    if lanes is None:
        lanes = model.lanes(min(total, most))
    return lanes, min(most, _segment_size(lanes, model.exact))


def _segment_size(lanes: int, exact: bool) -> int:
    """Return how many bytes a segment has: enough for lanes to begin anew seldom.

    Where floats decide, a decoder that goes astray should find out soon.
    """
    return min(MAX_SEGMENT, max(SEGMENT if exact else _CHECKPOINT, lanes * WORTH_A_LANE))


class Writer(io.RawIOBase):
    """Compresses what is written to it into ``out``, segment by segment; whole once it is closed."""

    def __init__(
        self,
        out: BinaryIO,
        model: Model,
        *,
        jobs: int = 1,
        lanes: int = 1,
        verify: bool = True,
        segment_size: int | None = None,
        watch: Watch = lambda done: None,
    ) -> None:
        """See ``compress``; ``segment_size`` is in bytes, at most ``MAX_SEGMENT``, by default what suits the model."""
        self._stack = ExitStack()
        if jobs < 1 or not 1 <= lanes <= MAX_LANES:
            raise UsageError(f"jobs must be 1 or more, and lanes 1 to {MAX_LANES:,}, not {jobs} and {lanes}")
        self._model = load(model)
        if len(str(self._model).encode()) > MAX_SPEC:
            raise UsageError(f"a spec in a file is {MAX_SPEC:,} bytes at most; shorten the command or the paths")
        self._exact = self._model.exact
        # Tokens are cut where a segment is, and floats are the same only from a beginning.
        self._independent = jobs > 1 or lanes > 1 or not self._exact
        self._together = jobs > 1
        self._lanes = lanes
        self._verify = verify
        self._size = segment_size or _segment_size(lanes, self._exact)
        self._watch = watch
        self._pending = bytearray()
        self._states: tuple[State, State | None] | None = None  # of the coder, and of its verification
        self._named = False  # whether the model stands in the file
        self._number = 0
        self._done = 0
        self._jobs = self._stack.enter_context(Jobs(jobs))
        self._frames = FrameWriter(out)

    @classmethod
    def to_path(cls, path: str | os.PathLike[str], model: Model, **options: Any) -> Writer:
        """Return a writer to a file that takes the place of ``path`` when the writer is closed."""
        model = load(model)
        with ExitStack() as stack:
            writer = cls(stack.enter_context(replacing(path)), model, **options)
            writer._stack.push(stack.pop_all())
        return writer

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def written(self) -> int:
        """Bytes written to ``out`` so far."""
        return self._frames.written

    def write(self, data: Any) -> int:
        """Take ``data``; segments that are full are compressed."""
        data = memoryview(data).cast("B")
        self._pending += data
        while size := self._full():
            self._take(bytes(self._pending[:size]))
            del self._pending[:size]
        return len(data)

    def _full(self) -> int:
        """Return how many bytes are pending that make a segment, or 0.

        Half a character is no text, and what is no text is not coded as tokens: for models that may have such, a
        segment ends where a character of UTF-8 does.
        """
        size, there = self._size, len(self._pending)
        if self._exact:
            return size if there >= size else 0
        if there <= size:  # the byte after a segment tells whether it ends inside a character
            return 0
        for end in range(size, max(0, size - 4), -1):
            if self._pending[end] & 0xC0 != 0x80:
                return end
        return size

    def close(self) -> None:
        """Compress the rest, and write the end."""
        if self.closed:
            return
        try:
            with self._stack:
                if self._pending:
                    self._take(bytes(self._pending))
                for data, code in self._jobs.rest():
                    self._put(data, *code)
                self._frames.end()
        finally:
            super().close()

    def __exit__(self, *failure: Any) -> None:
        """Close; after a failure in the block, without an end, and a file as it was."""
        if failure[0] is None:
            self.close()
        else:
            self._stack.__exit__(*failure)
            super().close()

    def __del__(self) -> None:
        """Leave the file as it was where nobody closed the writer."""
        if not self.closed:
            self.__exit__(CompgenError, CompgenError("a writer was never closed"), None)

    def _take(self, data: bytes) -> None:
        begin = self._done
        # Coding is half of the work where each segment is decoded again.
        halves = 2 if self._verify else 1

        def coding(done: int) -> None:
            self._watch(begin + done // halves)

        def verifying(done: int) -> None:
            self._watch(begin + (len(data) + done) // halves)

        if self._together:
            for done, code in self._jobs.run(data, _encode_alone, self._model, data, self._lanes, self._verify):
                self._put(done, *code)
        elif self._independent:
            self._put(data, *self._encode_in_memory(data, coding, verifying))
        else:
            if self._states is None:
                self._states = self._model.start([b""]), self._model.start([b""]) if self._verify else None
            coder, verifier = self._states
            code = segment.encode(coder, data, coding)
            if verifier is not None:
                _check(functools.partial(segment.decode, verifier, code, len(data), verifying), data)
            self._put(data, code)

    def _encode_in_memory(self, data: bytes, coding: Watch, verifying: Watch) -> tuple[bytes, bool]:
        """Encode a segment alone, with fewer lanes where memory does not hold as many and the file does not say yet."""
        while True:
            try:
                return _encode_alone(self._model, data, self._lanes, self._verify, coding, verifying)
            except OutOfMemoryError:
                if self._named or self._lanes == 1:
                    raise
                self._lanes //= 2

    def _put(self, data: bytes, code: bytes, tokens: bool = False) -> None:
        """Write a segment, coded or stored, whichever is smaller."""
        check = checksum(self._number, data)
        coded = SegmentFrame(len(data), code, check, coded=True, tokens=tokens)
        stored = SegmentFrame(len(data), data, check, coded=False)
        name = None if self._named else self._frame()
        if coded.size + (1 + len(name.pack()) if name else 0) < stored.size:
            if name:
                self._frames.model(name)
                self._named = True
            self._frames.segment(coded, data)
        else:
            self._frames.segment(stored, data)
            self._states = None
        self._number += 1
        self._done += len(data)
        self._watch(self._done)

    def _frame(self) -> ModelFrame:
        model = self._model
        return ModelFrame(
            str(model), fingerprint(model, self._lanes), self._lanes, self._independent, model.versions, PRECISION
        )


class Reader(io.RawIOBase):
    """What a .cgn file holds, as a file object to read from; no byte comes out before its segment's checksum holds."""

    def __init__(
        self, source: BinaryIO, model: Model | None = None, *, jobs: int = 1, watch: Watch = lambda done: None
    ) -> None:
        """See ``decompress``.

        Raises:
            CorruptDataError: ``source`` does not begin as a .cgn file does.
        """
        if jobs < 1:
            raise UsageError(f"jobs must be 1 or more, not {jobs}")
        self._source = source
        self._given = None if model is None else load(model)
        self._frames = FrameReader(source)
        self._count = jobs
        self._watch = watch
        self._done = 0
        self._segments = self.segments()
        self._ready = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with what comes next, and return how much that is."""
        while not self._ready:
            self._ready = next(self._segments, b"")
            if not self._ready:
                return 0
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._ready))
        target[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def close(self) -> None:
        """Close the source."""
        if not self.closed:
            self._segments.close()
            self._source.close()
            super().close()

    def segments(self) -> Generator[bytes, None, None]:
        """Yield the data of each segment, verified; the last comes only once the whole file has been found sound."""
        whole = hashlib.blake2b(digest_size=16)
        last: bytes | None = None
        with Jobs(self._count) as jobs:
            for number, (frame, data) in enumerate(self._decoded(jobs)):
                if isinstance(frame, EndFrame):
                    if (frame.length, frame.checksum) != (self._done, whole.digest()):
                        raise CorruptDataError(
                            "the file is damaged: a segment is missing, or all together do not check"
                        )
                    break
                if len(data) != frame.length or checksum(number, data) != frame.checksum:
                    raise CorruptDataError(f"the file is damaged: segment {number + 1} does not check")
                whole.update(data)
                self._done += len(data)
                self._watch(self._done)
                if last is not None:
                    yield last
                last = data
        if last is not None:
            yield last

    def _decoded(self, jobs: Jobs) -> Iterator[tuple[SegmentFrame | EndFrame, bytes]]:
        """Yield frames with their data, in order."""
        model: ByteModel | None = None
        named: ModelFrame | None = None
        state: State | None = None
        while True:
            frame = self._frames.read()
            if isinstance(frame, ModelFrame):
                if named is not None:
                    raise CorruptDataError("the file is damaged: it names two models")
                named = frame
            elif isinstance(frame, EndFrame):
                yield from jobs.rest()
                yield frame, b""
                return
            elif not frame.coded:
                state = None
                yield from jobs.run(frame, bytes, frame.body)
            elif named is None:
                raise CorruptDataError("the file is damaged: a coded segment comes before the name of its model")
            elif len(frame.body) < rans.LANE * named.lanes:
                raise CorruptDataError("the file is damaged: a segment's code is too short for its lanes")
            else:
                # Not before: a fingerprint is of as many rows as there are lanes.
                model = model or _model(named, self._given)
                watch = functools.partial(self._advance, self._done)
                if not (named.independent or frame.tokens):
                    state = state or model.start([b""] * named.lanes)
                    yield frame, segment.decode(state, frame.body, frame.length, watch)
                elif self._count > 1:
                    yield from jobs.run(frame, _decode_alone, model, frame, named.lanes)
                else:
                    yield frame, _decode_alone(model, frame, named.lanes, watch)

    def _advance(self, before: int, done: int) -> None:
        self._watch(before + done)


def _encode_alone(
    model: ByteModel,
    data: bytes,
    lanes: int,
    verify: bool,
    coding: Watch = lambda done: None,
    verifying: Watch = lambda done: None,
) -> tuple[bytes, bool]:
    """Return the code of a segment that knows nothing before it, and whether it is one of tokens."""
    tokens = model.encoding(data)
    if tokens is None:
        code = segment.encode(model.start([b""] * lanes), data, coding)
    else:
        from compgen.coding import token_segment  # brings torch

        code = token_segment.encode(model.token_coder(lanes), tokens, coding)
    if verify:
        frame = SegmentFrame(len(data), code, b"", coded=True, tokens=tokens is not None)
        _check(functools.partial(_decode_alone, model, frame, lanes, verifying), data)
    return code, tokens is not None


def _decode_alone(model: ByteModel, frame: SegmentFrame, lanes: int, watch: Watch = lambda done: None) -> bytes:
    if not frame.tokens:
        return segment.decode(model.start([b""] * lanes), frame.body, frame.length, watch)
    state = model.token_coder(lanes)  # which is where a model without tokens says so, with or without torch
    from compgen.coding import token_segment

    return token_segment.decode(state, frame.body, frame.length + len(state.lead), watch)[len(state.lead) :]


def _check(decode: Callable[[], bytes], data: bytes) -> None:
    try:
        sound = decode() == data
    except CorruptDataError:
        sound = False
    if not sound:
        raise CompgenError(
            "what was written does not decode: the model gave other frequencies the second time; nothing was kept"
        )


def _apart_from_places(spec: str) -> list[Spec]:
    """Return the members of ``spec`` without where weights lie: what they are is in the fingerprint."""
    members = map(Spec.parse, split_mixture(spec))
    return [dataclasses.replace(m, argument=None) if m.name == LanguageModel.name else m for m in members]


def _model(frame: ModelFrame, given: ByteModel | None) -> ByteModel:
    """Return the model that a file's coded segments need.

    Raises:
        UsageError: the caller gave another.
        IncompatibleError: only the caller may name it, or it behaves otherwise here.
    """
    if given is not None and _apart_from_places(str(given)) != _apart_from_places(frame.spec):
        raise UsageError(f"this file was written with '{frame.spec}', not '{given}'; give that, or leave it out")
    model = given if given is not None else load_from_file(frame.spec)
    if frame.precision != PRECISION or fingerprint(model, frame.lanes) != frame.fingerprint:
        theirs = f" (written with {frame.versions}; here: {model.versions})" if frame.versions else ""
        raise IncompatibleError(
            f"'{frame.spec}' behaves otherwise here than where this file was written{theirs}, so that decoding would "
            f"fail; use the same build and weights"
        )
    return model

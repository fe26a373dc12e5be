"""Read a .cgn file: frames in, verified bytes out, in bounded memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Never

from compgen.coding import byte_segment, independent_segment, rans, timing
from compgen.coding.budget import DEFAULT, Budget, Starts, Work
from compgen.coding.container import EndFrame, ModelFrame, SegmentFrame, checksum
from compgen.coding.frame_reader import FrameReader
from compgen.coding.ordered_pool import OrderedPool
from compgen.coding.trust import DEFAULT_RULE, Model, model_of
from compgen.errors import CompgenError, CorruptDataError, UsageError
from compgen.models import ByteModel, State, load
from compgen.types import Progress


class Reader(io.RawIOBase):
    """A file object to read what a .cgn file holds. No byte comes out before the checksum of its segment holds."""

    def __init__(
        self,
        source: BinaryIO,
        model: Model | None = None,
        *,
        jobs: int = 1,
        budget: Budget = DEFAULT,
        watch: Progress = lambda done: None,
        name: str = "",
    ) -> None:
        """Begin to read ``source``. ``budget`` is what the caller accepts; see ``decompress`` for the other arguments.

        ``name`` is that of the file, for the errors of who reads it as a file object.

        Raises:
            CorruptDataError: ``source`` does not begin as a .cgn file does.
            IncompatibleError: the file has another format version.
            UsageError: ``jobs`` is out of range, or the spec of ``model`` is wrong.
        """
        if jobs < 1:
            raise UsageError(f"jobs must be 1 or more, not {jobs}")
        self._source = source
        self._given = None if model is None else load(model).resolved(DEFAULT_RULE)
        self._name = name
        with self._named_errors():
            self._frames = FrameReader(source)
        self._jobs = jobs
        self._budget = budget
        self._starts = Starts()
        self._watch = watch
        self._done = 0  # bytes given out
        self._claimed = 0  # bytes of the segments whose frames were read
        self._segments = self.segments()
        self._ready = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``, and return the number of bytes read: 0 at the end of the file."""
        while not self._ready:
            with self._named_errors():
                self._ready = next(self._segments, b"")
            if not self._ready:
                return 0
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._ready))
        target[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Let the errors of the block begin with the name of the file."""
        try:
            yield
        except CompgenError as error:
            raise type(error)(f"{self._name}: {error}" if self._name else str(error)) from None

    def close(self) -> None:
        """Close the source."""
        if not self.closed:
            self._segments.close()
            self._source.close()
            super().close()

    def __reduce__(self) -> Never:
        raise TypeError("a Reader can be neither copied nor pickled; open the file again")

    def segments(self) -> Generator[bytes, None, None]:
        """Yield the verified data of each segment, of one container after another.

        The last segment of a container comes only after the whole container is verified.

        Raises:
            CorruptDataError: the file is damaged.
            IncompatibleError: the model that the file names behaves otherwise here, or only the caller may name it.
            LimitError: the file costs more than the caller accepts.
            UsageError: the caller gave another model than the file was written with.
        """
        with OrderedPool(self._jobs) as pool:
            yield from self._container(pool)
            while self._frames.go_on():
                yield from self._container(pool)

    def _container(self, pool: OrderedPool) -> Iterator[bytes]:
        """Yield the verified data of each segment of a container; errors as in ``segments``."""
        whole = hashlib.blake2b(digest_size=16)
        begin = self._done
        last: bytes | None = None
        for number, (frame, data) in enumerate(self._decoded(pool)):
            if isinstance(frame, EndFrame):
                if frame.length != self._done - begin or frame.checksum not in (b"", whole.digest()):
                    raise CorruptDataError(
                        "the file is damaged: a segment is missing, or the checksum of all data does not hold"
                    )
                break
            if len(data) != frame.length or not checksum(number, data).startswith(frame.checksum):
                raise CorruptDataError(f"the file is damaged: the checksum of segment {number + 1} does not hold")
            whole.update(data)
            self._done += len(data)
            self._watch(self._done)
            if last is not None:
                yield last
            last = data
        if last is not None:
            yield last

    def _decoded(self, pool: OrderedPool) -> Iterator[tuple[SegmentFrame | EndFrame, bytes]]:
        """Yield the segment frames and the end frame of a container with their data, in order."""
        coded = _CodedSegments(pool, self._given, self._budget, self._starts, self._jobs)
        while True:
            frame = self._frames.read()
            if isinstance(frame, ModelFrame):
                coded.name_model(frame)
            elif isinstance(frame, EndFrame):
                yield from pool.rest()
                yield frame, b""
                return
            else:
                self._claimed += frame.length
                self._budget.check_size(self._claimed)
                if frame.coded:
                    yield from coded.decode(frame, self._progress())
                else:
                    coded.start_anew()
                    yield from pool.run(frame, bytes, frame.body)

    def _progress(self) -> Progress:
        """Return what decoding the next segment reports to."""
        begin = self._done
        return lambda done: self._watch(begin + done)


class _CodedSegments:
    """The coded segments of a container: their model, and the state that the next one goes on from."""

    def __init__(self, pool: OrderedPool, given: ByteModel | None, budget: Budget, starts: Starts, jobs: int) -> None:
        self._pool = pool
        self._given = given
        self._budget = budget
        self._starts = starts
        self._jobs = jobs
        self._named: ModelFrame | None = None
        self._model: ByteModel | None = None
        self._state: State | None = None
        self._read = 0  # bytes that each row of the state has read

    def name_model(self, frame: ModelFrame) -> None:
        """Take the frame of the model, which a container has once."""
        if self._named is not None:
            raise CorruptDataError("the file is damaged: it names two models")
        self._named = frame

    def start_anew(self) -> None:
        """Let the next segment start with nothing known."""
        self._state, self._read = None, 0

    def decode(self, frame: SegmentFrame, watch: Progress) -> Iterator[tuple[SegmentFrame, bytes]]:
        """Yield the frame with its data, after those that are still in the pool; errors as in ``Reader.segments``."""
        named = self._named
        if named is None:
            raise CorruptDataError("the file is damaged: a coded segment comes before the name of its model")
        # The number of lanes is checked before the model is loaded: its fingerprint may start as many rows.
        if len(frame.body) < rans.LANE * named.lanes:
            raise CorruptDataError("the file is damaged: a segment's code is too short for its lanes")
        goes_on = not (named.independent or frame.tokens)
        read = (self._read if goes_on else 0) - (-frame.length // named.lanes)  # rounded up
        work = Work(named.lanes, read, frame.length)
        model = self._model = self._model or model_of(named, self._given, self._budget, work, self._starts)
        share = self._budget.check_memory(model, work, self._given is not None)
        if goes_on:
            yield from self._pool.rest()  # stored segments before this one
            self._state = self._state or model.start([b""] * named.lanes)
            self._read = read
            with timing.foreseen(model, frame.length):
                data = byte_segment.decode(self._state, frame.body, frame.length, watch)
            yield frame, data
        elif self._jobs > 1:
            yield from self._pool.run(frame, independent_segment.decode, model, frame, named.lanes, share=share)
        else:
            with timing.foreseen(model, frame.length):
                data = independent_segment.decode(model, frame, named.lanes, watch)
            yield frame, data

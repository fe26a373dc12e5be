"""Reading a .cgn file: frames in, verified bytes out, in bounded memory."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

from compgen.coding import independent, rans, segment
from compgen.coding.container import EndFrame, FrameReader, ModelFrame, SegmentFrame, checksum
from compgen.coding.jobs import OrderedPool
from compgen.coding.segment import Progress
from compgen.coding.trust import Model, model_of
from compgen.errors import CorruptDataError, UsageError
from compgen.models import ByteModel, State, load


class Reader(io.RawIOBase):
    """What a .cgn file holds, as a file object to read from; no byte comes out before its segment's checksum holds."""

    def __init__(
        self, source: BinaryIO, model: Model | None = None, *, jobs: int = 1, watch: Progress = lambda done: None
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
        with OrderedPool(self._count) as jobs:
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

    def _decoded(self, jobs: OrderedPool) -> Iterator[tuple[SegmentFrame | EndFrame, bytes]]:
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
                model = model or model_of(named, self._given)
                watch = functools.partial(self._advance, self._done)
                if not (named.independent or frame.tokens):
                    state = state or model.start([b""] * named.lanes)
                    yield frame, segment.decode(state, frame.body, frame.length, watch)
                elif self._count > 1:
                    yield from jobs.run(frame, independent.decode, model, frame, named.lanes)
                else:
                    yield frame, independent.decode(model, frame, named.lanes, watch)

    def _advance(self, before: int, done: int) -> None:
        self._watch(before + done)

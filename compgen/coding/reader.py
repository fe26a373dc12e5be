"""Read a .cgn file: frames in, verified bytes out, in bounded memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO, Never

from compgen.coding import byte_segment, independent_segment, rans
from compgen.coding.container import EndFrame, FrameReader, ModelFrame, SegmentFrame, checksum
from compgen.coding.ordered_pool import OrderedPool
from compgen.coding.trust import DEFAULT_RULE, Model, model_of
from compgen.errors import CorruptDataError, UsageError
from compgen.models import ByteModel, State, load
from compgen.types import Progress


class Reader(io.RawIOBase):
    """A file object to read what a .cgn file holds. No byte comes out before the checksum of its segment holds."""

    def __init__(
        self, source: BinaryIO, model: Model | None = None, *, jobs: int = 1, watch: Progress = lambda done: None
    ) -> None:
        """Begin to read ``source``; see ``decompress`` for the other arguments.

        Raises:
            CorruptDataError: ``source`` does not begin as a .cgn file does.
            IncompatibleError: the file has another format version.
            UsageError: ``jobs`` is out of range, or the spec of ``model`` is wrong.
        """
        if jobs < 1:
            raise UsageError(f"jobs must be 1 or more, not {jobs}")
        self._source = source
        self._given = None if model is None else load(model).resolved(DEFAULT_RULE)
        self._frames = FrameReader(source)
        self._jobs = jobs
        self._watch = watch
        self._done = 0
        self._segments = self.segments()
        self._ready = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``, and return the number of bytes read: 0 at the end of the file."""
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

    def __reduce__(self) -> Never:
        raise TypeError("a Reader can be neither copied nor pickled; open the file again")

    def segments(self) -> Generator[bytes, None, None]:
        """Yield the verified data of each segment. The last segment comes only after the whole file is verified.

        Raises:
            CorruptDataError: the file is damaged.
            IncompatibleError: the model that the file names behaves otherwise here, or only the caller may name it.
            UsageError: the caller gave another model than the file was written with.
        """
        whole = hashlib.blake2b(digest_size=16)
        last: bytes | None = None
        with OrderedPool(self._jobs) as pool:
            for number, (frame, data) in enumerate(self._decoded(pool)):
                if isinstance(frame, EndFrame):
                    if (frame.length, frame.checksum) != (self._done, whole.digest()):
                        raise CorruptDataError(
                            "the file is damaged: a segment is missing, or the checksum of all data does not hold"
                        )
                    break
                if len(data) != frame.length or checksum(number, data) != frame.checksum:
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
        """Yield the segment frames and the end frame with their data, in order."""
        model: ByteModel | None = None
        model_frame: ModelFrame | None = None
        state: State | None = None
        while True:
            frame = self._frames.read()
            if isinstance(frame, ModelFrame):
                if model_frame is not None:
                    raise CorruptDataError("the file is damaged: it names two models")
                model_frame = frame
            elif isinstance(frame, EndFrame):
                yield from pool.rest()
                yield frame, b""
                return
            elif not frame.coded:
                state = None
                yield from pool.run(frame, bytes, frame.body)
            elif model_frame is None:
                raise CorruptDataError("the file is damaged: a coded segment comes before the name of its model")
            elif len(frame.body) < rans.LANE * model_frame.lanes:
                raise CorruptDataError("the file is damaged: a segment's code is too short for its lanes")
            else:
                # The number of lanes is checked before the model is loaded: its fingerprint may start as many rows.
                model = model or model_of(model_frame, self._given)
                if not (model_frame.independent or frame.tokens):
                    yield from pool.rest()  # stored segments before this one
                    state = state or model.start([b""] * model_frame.lanes)
                    yield frame, byte_segment.decode(state, frame.body, frame.length, self._progress())
                elif self._jobs > 1:
                    yield from pool.run(frame, independent_segment.decode, model, frame, model_frame.lanes)
                else:
                    yield frame, independent_segment.decode(model, frame, model_frame.lanes, self._progress())

    def _progress(self) -> Progress:
        """Return what decoding the next segment reports to."""
        begin = self._done
        return lambda done: self._watch(begin + done)

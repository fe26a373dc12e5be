"""Write a .cgn file segment by segment, in bounded memory. Each segment is decoded again before it is written."""

from __future__ import annotations

import functools
import io
import os
from contextlib import ExitStack
from typing import Any, BinaryIO, Never

from compgen.atomic import replacing
from compgen.coding import byte_segment, independent_segment, timing
from compgen.coding.budget import Work
from compgen.coding.container import (
    END_SIZE,
    MAGIC,
    MAX_LANES,
    MAX_SEGMENT,
    MAX_SPEC,
    FrameWriter,
    ModelFrame,
    SegmentFrame,
    checksum,
    fits_short,
    pack_short,
)
from compgen.coding.fingerprint import fingerprint
from compgen.coding.ordered_pool import OrderedPool
from compgen.coding.segmenter import Segmenter
from compgen.coding.trust import DEFAULT_RULE, Model
from compgen.errors import CompgenError, OutOfMemoryError, UsageError
from compgen.models import ByteModel, State, load
from compgen.models.base import PRECISION
from compgen.types import Progress


class Writer(io.RawIOBase):
    """A file object that compresses what is written to it into ``out``. The file is complete once it is closed."""

    def __init__(
        self,
        out: BinaryIO,
        model: Model,
        *,
        jobs: int = 1,
        lanes: int | None = None,
        verify: bool = True,
        total: int | None = None,
        segment_size: int | None = None,
        watch: Progress = lambda done: None,
    ) -> None:
        """Begin a file.

        Args:
            out: the file that the compressed data goes to.
            model: see ``compress``.
            jobs: see ``compress``.
            lanes: see ``compress``.
            verify: see ``compress``.
            total: the number of bytes that will be written, if it is known. If it is not known and the best lanes or
                segments depend on it, up to ``MAX_SEGMENT`` bytes are held back; see ``Segmenter``.
            segment_size: bytes in a segment, at most ``MAX_SEGMENT``; None for what suits the model and the file.
            watch: see ``compress``.

        Raises:
            UsageError: the spec is wrong, or an argument is out of range.
        """
        self._stack = ExitStack()
        if jobs < 1:
            raise UsageError(f"jobs must be 1 or more, not {jobs}")
        if lanes is not None and not 1 <= lanes <= MAX_LANES:
            raise UsageError(f"lanes must be 1 to {MAX_LANES:,}, not {lanes}")
        self._model = load(model).resolved(DEFAULT_RULE)
        if len(str(self._model).encode()) > MAX_SPEC:
            raise UsageError(f"a spec in a file is {MAX_SPEC:,} bytes at most; shorten the command or the paths")
        self._segmenter = Segmenter(self._model, jobs=jobs, lanes=lanes, total=total, segment_size=segment_size)
        self._lanes_that_fit = MAX_LANES  # in memory: fewer once a segment did not fit
        self._jobs = jobs
        self._verify = verify
        self._watch = watch
        self._states: tuple[State, State | None] | None = None  # the coder's and its verifier's, between two segments
        self._model_is_written = False
        self._taken = False  # whether a segment was taken to be coded
        self._is_alone = False  # whether the segment at hand is all there is
        self._number = 0  # segments written
        self._read = 0  # bytes that each row of the states has read
        self.memory_to_decode = 0  # the most bytes of memory that decoding the file takes
        self._done = 0  # bytes in them
        self._pool = self._stack.enter_context(OrderedPool(jobs))
        self._frames = FrameWriter(out)

    @classmethod
    def to_path(cls, path: str | os.PathLike[str], model: Model, **options: Any) -> Writer:
        """Return a writer to a file that replaces ``path`` when the writer is closed."""
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
        """Take all of ``data``, compress the segments that it completes, and return its size in bytes."""
        data = memoryview(data).cast("B")
        for begin in range(0, len(data), MAX_SEGMENT):
            self._segmenter.append(data[begin : begin + MAX_SEGMENT])
            for segment in self._segmenter.full_segments():
                self._code(segment)
        return len(data)

    def close(self) -> None:
        """Compress the rest, and write the end of the file."""
        if self.closed:
            return
        try:
            with self._stack:
                self._segmenter.end()
                for segment in self._segmenter.full_segments():
                    self._code(segment)
                self._is_alone = not self._taken
                if rest := self._segmenter.last_segment():
                    self._code(rest)
                for data, code in self._pool.rest():
                    self._put(data, *code)
                self._frames.end()
        finally:
            super().close()

    def __exit__(self, *failure: Any) -> None:
        """Close the writer. If the block failed, write no end: the temporary file is deleted, the old file stays."""
        if failure[0] is None:
            self.close()
        else:
            self._stack.__exit__(*failure)
            super().close()

    def __del__(self) -> None:
        """If the writer was never closed, delete the temporary file; the old file stays."""
        if not self.closed:
            self.__exit__(CompgenError, CompgenError("a writer was never closed"), None)

    def __reduce__(self) -> Never:
        raise TypeError("a Writer can be neither copied nor pickled: the file that it writes is its own")

    @property
    def _lanes(self) -> int:
        """Lanes in each segment."""
        return min(self._segmenter.lanes, self._lanes_that_fit)

    @property
    def _independent(self) -> bool:
        """Whether each segment is coded with nothing known.

        Several processes cannot share what they know, and several lanes or tokens would be cut where a segment ends.
        Where floats decide, only two states that begin alike compute the same.
        """
        return self._jobs > 1 or self._segmenter.lanes > 1 or not self._model.reproducible

    def _code(self, data: bytes) -> None:
        """Code a segment and write it. With several jobs, start to code it, and write those that are ready."""
        self._taken = True
        if self._jobs > 1:
            arguments = self._model, data, self._lanes, self._verify
            for earlier, code in self._pool.run(data, independent_segment.encode, *arguments):
                self._put(earlier, *code)
            return
        with timing.foreseen(self._model, (2 if self._verify else 1) * len(data)):
            coded = self._encode_in_memory(data) if self._independent else (self._encode_after_the_last(data),)
        self._put(data, *coded)

    def _encode_in_memory(self, data: bytes) -> tuple[bytes, bool]:
        """Code a segment with nothing known.

        If memory runs out, code it with half as many lanes, unless the file already says how many lanes it has.
        """
        while True:
            try:
                return independent_segment.encode(
                    self._model, data, self._lanes, self._verify, *self._progress(len(data))
                )
            except OutOfMemoryError:
                if self._model_is_written or self._lanes == 1:
                    raise
                self._lanes_that_fit = self._lanes // 2

    def _encode_after_the_last(self, data: bytes) -> bytes:
        """Code a segment in the state that the coded segment before it has left."""
        if self._states is None:
            self._read = 0
            self._states = self._model.start([b""]), self._model.start([b""]) if self._verify else None
        self._read += len(data)
        coder, verifier = self._states
        coding, verifying = self._progress(len(data))
        code = byte_segment.encode(coder, data, coding)
        if verifier is not None:
            independent_segment.check(
                functools.partial(byte_segment.decode, verifier, code, len(data), verifying), data
            )
        return code

    def _progress(self, size: int) -> tuple[Progress, Progress]:
        """Return what coding and verifying a segment of ``size`` bytes report to. Each is half of the work."""
        begin, parts = self._done, 2 if self._verify else 1
        return (
            lambda done: self._watch(begin + done // parts),
            lambda done: self._watch(begin + (size + done) // parts),
        )

    def _put(self, data: bytes, code: bytes, tokens: bool = False) -> None:
        """Write a segment, coded or stored, whichever is smaller. The model comes before the first coded one."""
        check = checksum(self._number, data)
        coded = SegmentFrame(len(data), code, check, coded=True, tokens=tokens)
        stored = SegmentFrame(len(data), data, check, coded=False)
        size, is_short = self._size(stored, None)
        # The fingerprint of a model takes time, so it is not computed for a code that is too long anyway.
        if len(code) >= len(data) or not self._put_coded(coded, data, size):
            self._put_frame(stored, data, None, is_short)
            self._states = None
        self._number += 1
        self._done += len(data)
        self._watch(self._done)

    def _put_coded(self, coded: SegmentFrame, data: bytes, limit: int) -> bool:
        """Write a coded segment, and the model before the first; return False if that took ``limit`` bytes or more."""
        model = None if self._model_is_written else model_frame(self._model, self._lanes, self._independent)
        size, is_short = self._size(coded, model)
        if size >= limit:
            return False
        self._put_frame(coded, data, model, is_short)
        read = -(-len(data) // self._lanes) if self._independent else self._read
        for work in (Work(self._lanes, read, len(data)), Work.of_fingerprint(self._model, self._lanes)):
            self.memory_to_decode = max(self.memory_to_decode, work.memory(self._model))
        return True

    def _size(self, segment: SegmentFrame, model: ModelFrame | None) -> tuple[int, bool]:
        """Return the bytes that a segment and its model take, and whether a short container can hold them."""
        one_lane = not segment.coded or self._lanes == 1
        if self._is_alone and one_lane and fits_short(segment, str(self._model)):
            return len(pack_short(segment, model)), True
        end = END_SIZE if self._is_alone else 0
        return segment.size + (1 + len(model.pack()) if model else 0) + end, False

    def _put_frame(self, segment: SegmentFrame, data: bytes, model: ModelFrame | None, is_short: bool) -> None:
        """Write a segment, and before it the model, if one is given."""
        if is_short:
            self._frames.short(segment, model)
            return
        if model is not None:
            self._frames.model(model)
            self._model_is_written = True
        self._frames.segment(segment, data)


def model_frame(model: ByteModel, lanes: int, independent: bool) -> ModelFrame:
    """Return the frame that names ``model`` in a file whose segments have so many lanes."""
    return ModelFrame(str(model), fingerprint(model), lanes, independent, model.versions, PRECISION)


def once(model: ByteModel) -> int:
    """Return the bytes that a file of many segments of one lane has besides them: its head, its model and its end."""
    return len(MAGIC) + 1 + 1 + len(model_frame(model, 1, independent=False).pack()) + END_SIZE

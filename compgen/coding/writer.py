"""Writing a .cgn file: segment by segment, in bounded memory, each decoded again before it counts."""

from __future__ import annotations

import functools
import io
import os
from contextlib import ExitStack
from typing import Any, BinaryIO

from compgen.atomic import replacing
from compgen.coding import independent, segment
from compgen.coding.container import MAX_LANES, MAX_SEGMENT, MAX_SPEC, FrameWriter, ModelFrame, SegmentFrame, checksum
from compgen.coding.fingerprint import fingerprint
from compgen.coding.jobs import OrderedPool
from compgen.coding.segment import Progress
from compgen.coding.sizing import depends_on_total, sizes
from compgen.coding.trust import Model
from compgen.errors import CompgenError, OutOfMemoryError, UsageError
from compgen.models import State, load
from compgen.models.base import PRECISION


class Writer(io.RawIOBase):
    """Compresses what is written to it into ``out``, segment by segment; whole once it is closed."""

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
            out: where it goes.
            model: see ``compress``.
            jobs: see ``compress``.
            lanes: see ``compress``.
            verify: see ``compress``.
            total: bytes that will be written, if that is known. Otherwise up to ``MAX_SEGMENT`` bytes are held back
                where lanes and segments depend on it.
            segment_size: bytes in a segment, at most ``MAX_SEGMENT``; None for what suits.
            watch: see ``compress``.

        Raises:
            UsageError: the spec is wrong, or an argument is out of range.
        """
        self._stack = ExitStack()
        if jobs < 1 or not 1 <= (1 if lanes is None else lanes) <= MAX_LANES:
            raise UsageError(f"jobs must be 1 or more, and lanes 1 to {MAX_LANES:,}, not {jobs} and {lanes}")
        self._model = load(model)
        if len(str(self._model).encode()) > MAX_SPEC:
            raise UsageError(f"a spec in a file is {MAX_SPEC:,} bytes at most; shorten the command or the paths")
        self._given = jobs, lanes
        self._segment_size = segment_size
        self._size = 0  # bytes in a segment; none before that is decided
        if total is not None or not depends_on_total(self._model, jobs, lanes):
            self._cut(total)
        self._together = jobs > 1
        self._verify = verify
        self._watch = watch
        self._pending = bytearray()
        self._states: tuple[State, State | None] | None = None  # of the coder, and of its verification
        self._named = False  # whether the model stands in the file
        self._number = 0
        self._done = 0
        self._jobs = self._stack.enter_context(OrderedPool(jobs))
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
        if not self._size and len(self._pending) >= MAX_SEGMENT:
            self._cut(None)
        while size := self._full():
            self._take(bytes(self._pending[:size]))
            del self._pending[:size]
        return len(data)

    def _cut(self, total: int | None) -> None:
        """Decide how the file is cut, ``total`` bytes long; None for very many."""
        chosen = sizes(self._model, total, *self._given)
        self._lanes, self._size = chosen.lanes, self._segment_size or chosen.segment
        # Tokens are cut where a segment is, and floats are the same only from a beginning.
        self._independent = self._given[0] > 1 or chosen.lanes > 1 or not self._model.reproducible

    def _full(self) -> int:
        """Return how many bytes are pending that make a segment, or 0.

        Half a character is no text, and what is no text is not coded as tokens: for models that may have such, a
        segment ends where a character of UTF-8 does.
        """
        if not self._size:
            return 0
        size, there = self._size, len(self._pending)
        if self._model.reproducible:
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
                if not self._size:
                    self._cut(len(self._pending))
                while size := self._full() or len(self._pending):
                    self._take(bytes(self._pending[:size]))
                    del self._pending[:size]
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
            for done, code in self._jobs.run(data, independent.encode, self._model, data, self._lanes, self._verify):
                self._put(done, *code)
        elif self._independent:
            self._put(data, *self._encode_in_memory(data, coding, verifying))
        else:
            if self._states is None:
                self._states = self._model.start([b""]), self._model.start([b""]) if self._verify else None
            coder, verifier = self._states
            code = segment.encode(coder, data, coding)
            if verifier is not None:
                independent.check(functools.partial(segment.decode, verifier, code, len(data), verifying), data)
            self._put(data, code)

    def _encode_in_memory(self, data: bytes, coding: Progress, verifying: Progress) -> tuple[bytes, bool]:
        """Encode a segment alone, with fewer lanes where memory does not hold as many and the file does not say yet."""
        while True:
            try:
                return independent.encode(self._model, data, self._lanes, self._verify, coding, verifying)
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

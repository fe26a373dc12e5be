"""Cut a stream of bytes into segments."""

from __future__ import annotations

from collections.abc import Iterator

from compgen.coding.container import MAX_SEGMENT
from compgen.coding.sizing import Sizes, depends_on_total, sizes
from compgen.models import ByteModel

_LONGEST_CHARACTER = 4
"""Bytes of the longest character in UTF-8 (RFC 3629)."""


class Segmenter:
    """Collects bytes and gives them back as segments.

    The sizes may depend on the total number of bytes (``sizing.py``). If the total is not known, up to ``MAX_SEGMENT``
    bytes are held back. Either the stream ends before that, and the total is known; or the stream is longer, and then
    the sizes are those of a long file, and every full segment is given back at once.
    """

    def __init__(
        self,
        model: ByteModel,
        *,
        jobs: int = 1,
        lanes: int | None = None,
        total: int | None = None,
        segment_size: int | None = None,
    ) -> None:
        """See ``Writer`` for the arguments."""
        self._model = model
        self._jobs = jobs
        self._given_lanes = lanes
        self._segment_size = segment_size
        self._pending = bytearray()
        self._sizes: Sizes | None = None
        if total is not None or not depends_on_total(model, jobs, lanes):
            self._sizes = self._choose(total)

    @property
    def lanes(self) -> int:
        """Lanes in each segment. Known as soon as there is a segment."""
        assert self._sizes is not None  # noqa: S101
        return self._sizes.lanes

    def append(self, data: memoryview) -> None:
        """Append ``data`` to the stream."""
        self._pending += data
        if self._sizes is None and len(self._pending) >= MAX_SEGMENT:
            self._sizes = self._choose(None)

    def end(self) -> None:
        """Take note that the stream has ended."""
        if self._sizes is None:
            self._sizes = self._choose(len(self._pending))

    def full_segments(self) -> Iterator[bytes]:
        """Yield the segments that are full, and remove them."""
        while size := self._full_segment():
            yield self._remove(size)

    def last_segment(self) -> bytes:
        """Return the bytes after the last full segment, and remove them."""
        return self._remove(len(self._pending))

    def _choose(self, total: int | None) -> Sizes:
        chosen = sizes(self._model, total, self._jobs, self._given_lanes)
        return chosen if self._segment_size is None else Sizes(chosen.lanes, self._segment_size)

    def _full_segment(self) -> int:
        """Return the size of the full segment that the pending bytes begin with, or 0 if there is none.

        A model with a tokeniser spells a character that is cut off by tokens of single bytes. So for models that may
        have a tokeniser, a segment ends between two characters.
        """
        if self._sizes is None:
            return 0
        size = self._sizes.segment
        if self._model.reproducible:
            return size if len(self._pending) >= size else 0
        if len(self._pending) <= size:  # the byte after a segment tells whether a character goes on there
            return 0
        for end in range(size, max(0, size - _LONGEST_CHARACTER), -1):
            if self._pending[end] & 0xC0 != 0x80:  # not a continuation byte: a character begins here
                return end
        return size

    def _remove(self, size: int) -> bytes:
        segment = bytes(self._pending[:size])
        del self._pending[:size]
        return segment

"""Cut an item into the given part and the rest, and make an item of the given part and its continuation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.media.layout import Layout
from compgen.media.text import is_text, unfinished


@dataclass(frozen=True)
class Item:
    """An item in one piece, or a picture with a piece for each row. The first part of each piece is given.

    Attributes:
        medium: the medium of the bytes.
        given: the given part of each piece.
        rest: the rest of each piece, which a continuation stands in for.
    """

    medium: Medium
    given: tuple[bytes, ...]
    rest: tuple[bytes, ...]

    @classmethod
    def cut(cls, data: bytes, medium: Medium, keep: float | None, by_row: bool) -> Item:
        """Cut ``data`` so that the share ``keep`` of it is given, between two rows, frames or characters.

        If ``by_row`` is True, cut every row of a picture between two pixels.

        Raises:
            UsageError: ``keep`` is not in (0, 1], or ``by_row`` is True and there are no rows to cut.
        """
        share = 1.0 if keep is None else keep
        if not 0 < share <= 1:
            raise UsageError(f"keep must be a share above 0 and up to 1, such as 0.5, not {share}")
        layout = medium.layout
        if by_row and (not layout.stride or share == 1):
            raise UsageError(
                "only a picture is continued row by row: give a picture, and keep a share of it, such as 0.5"
            )
        size = layout.stride if by_row else max(len(data), 1)
        unit = layout.pixel if by_row else medium.unit
        end = int(size * share) // unit * unit
        if medium.name == "text" and is_text(data):
            end -= len(unfinished(data[:end])) if end < len(data) else 0
        pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        return cls(medium, tuple(p[:end] for p in pieces), tuple(p[end:] for p in pieces))

    @property
    def part(self) -> Medium:
        """The medium of the rest by itself. If a picture was cut row by row, it is a picture of narrower rows."""
        from compgen.media.image import Image

        if len(self.given) == 1 or not isinstance(self.medium, Image):
            return self.medium
        return dataclasses.replace(self.medium, width=len(self.rest[0]) // self.medium.layout.pixel)

    @property
    def layout(self) -> Layout:
        """The layout of a piece. A row that is a piece of its own has no row above it."""
        return dataclasses.replace(self.medium.layout, stride=0 if len(self.given) > 1 else self.medium.layout.stride)

    def file(self, made: bytes, suffix: str) -> bytes:
        """Return an item of the given parts and their continuations ``made``. A text is ``made`` alone."""
        if self.medium.name == "text":
            return self.medium.decode(made, suffix)
        size = len(made) // len(self.given)
        pieces = (given + made[i * size : (i + 1) * size] for i, given in enumerate(self.given))
        return self.medium.decode(b"".join(pieces), suffix)

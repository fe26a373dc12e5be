"""What is continued: an item as bytes, the part of it that is given, and the item made of the whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.media.layout import Layout


@dataclass(frozen=True)
class Item:
    """Bytes of a medium in one piece, or a picture row by row: of each piece the first part is given.

    Attributes:
        medium: what the bytes are.
        given: the known part of each piece.
        rest: what really follows in each.
    """

    medium: Medium
    given: tuple[bytes, ...]
    rest: tuple[bytes, ...]

    @classmethod
    def cut(cls, data: bytes, medium: Medium, keep: float | None, by_row: bool) -> Item:
        """Cut ``data`` where the share ``keep`` of it ends, between two rows or frames; in every row if ``by_row``.

        Raises:
            UsageError: the share is no share, or there are no rows.
        """
        share = 1.0 if keep is None else keep
        if not 0 < share <= 1:
            raise UsageError(f"keep must be a share above 0 and up to 1, such as 0.5, not {share}")
        layout = medium.layout
        if by_row and (not layout.stride or share == 1):
            raise UsageError("row by row a picture is continued: give a picture, and keep 0.5 of it or so")
        size = layout.stride if by_row else max(len(data), 1)
        unit = layout.pixel if by_row else medium.unit
        end = int(size * share) // unit * unit
        pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        return cls(medium, tuple(p[:end] for p in pieces), tuple(p[end:] for p in pieces))

    @property
    def part(self) -> Medium:
        """The medium of what is made: a picture that is continued row by row goes on as one of narrower rows."""
        from compgen.media.image import Image

        if len(self.given) == 1 or not isinstance(self.medium, Image):
            return self.medium
        return dataclasses.replace(self.medium, width=len(self.rest[0]) // self.medium.layout.pixel)

    @property
    def layout(self) -> Layout:
        """How the bytes of a piece lie: a row that is continued on its own has none above."""
        return dataclasses.replace(self.medium.layout, stride=0 if len(self.given) > 1 else self.medium.layout.stride)

    def file(self, made: bytes, suffix: str) -> bytes:
        """Return the item with ``made`` in place of what follows; of a text ``made`` alone."""
        if self.medium.name == "text":
            return self.medium.decode(made, suffix)
        size = len(made) // len(self.given)
        pieces = (given + made[i * size : (i + 1) * size] for i, given in enumerate(self.given))
        return self.medium.decode(b"".join(pieces), suffix)

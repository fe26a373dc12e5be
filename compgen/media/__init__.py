"""Media: text, sound and pictures as bytes, and back. The built-in ones, by name."""

from __future__ import annotations

from compgen.errors import CompgenError
from compgen.media.base import Medium
from compgen.media.layout import Layout
from compgen.registry import Entry, Registry

__all__ = ["MEDIA", "Layout", "Medium", "recognise"]

MEDIA: Registry[Medium] = Registry(
    "medium",
    "compgen.media",
    {
        "image": Entry("compgen.media.image:Image"),
        "audio": Entry("compgen.media.audio:Audio"),
        "text": Entry("compgen.media.text:Text"),
    },
)


def recognise(item: bytes) -> Medium:
    """Return the medium of ``item`` by its first bytes; what nothing knows is text, which is any bytes."""
    for name in MEDIA.names():
        try:
            cls = MEDIA.get(name)
        except CompgenError:  # a plugin that does not load is no reason not to look at the others
            continue
        if name != "text" and cls.recognises(item):
            return cls()  # every option of a medium has a default
    return MEDIA.build("text")

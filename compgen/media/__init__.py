"""Media: text, sound and pictures to bytes, and back. Here are the built-in ones by name."""

from __future__ import annotations

from compgen.errors import CompgenError, UsageError
from compgen.media.base import Medium
from compgen.media.formats import format_of
from compgen.media.layout import Layout
from compgen.registry import Entry, Registry

__all__ = ["MEDIA", "Layout", "Medium", "recognise"]

MEDIA: Registry[Medium] = Registry(
    "medium",
    "compgen.media",
    "compgen.media.base:Medium",
    {
        "image": Entry("compgen.media.image:Image"),
        "audio": Entry("compgen.media.audio:Audio"),
        "text": Entry("compgen.media.text:Text"),
    },
)


def recognise(item: bytes) -> Medium:
    """Return the medium that recognises the first bytes of ``item``, or text, which may be any bytes.

    Plugins are asked before the built-in media: each knows its own formats best.

    Raises:
        UsageError: the item is of a known format that no medium reads, such as PDF.
    """
    for name in reversed(MEDIA.names()):
        try:
            cls = MEDIA.get(name)
        except CompgenError:  # a plugin does not load; the others may recognise the item
            continue
        if name != "text" and cls.recognises(item):
            return cls()  # every option of a medium has a default
    form = format_of(item)
    if form is not None:
        raise UsageError(form.refusal)
    return MEDIA.build("text")

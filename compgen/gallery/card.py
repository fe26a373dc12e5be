"""The picture that a link to a gallery shows: its title, its sentence, and a few continuations (Open Graph)."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

_SIZE = (1200, 630)
"""Pixels. What sites that show links ask for (ogp.me, and the documents of X and Facebook)."""
_GROUND, _INK, _SOFT, _ACCENT = "#131416", "#ece8e1", "#aca69b", "#7fd6c6"
"""The dark colours of base.css."""
_TINTS = ("#131416", "#2b261b", "#40331a", "#5a3d17", "#764416", "#934518", "#b03f20")
"""The surprisal colours of base.css, dark."""
_EDGE = 60
"""Pixels around everything."""


def card(title: str, lead: str, first: dict[str, Any], pictures: list[dict[str, Any]], out: Path) -> bytes:
    """Return the picture as PNG.

    Args:
        title: the title of the gallery.
        lead: its sentence.
        first: the row of the first screen, whose texts are shown where there are no pictures.
        pictures: cells with pictures, to stand side by side.
        out: the folder of the site.
    """
    from PIL import Image, ImageDraw, ImageFont

    made = Image.new("RGB", _SIZE, _GROUND)
    draw = ImageDraw.Draw(made)
    draw.text((_EDGE, 48), title, fill=_INK, font=ImageFont.load_default(64))
    for number, line in enumerate(textwrap.wrap(lead, 84)[:3]):
        draw.text((_EDGE, 138 + 36 * number), line, fill=_SOFT, font=ImageFont.load_default(26))
    top = 270
    if pictures:
        side = 240
        for number, cell in enumerate(pictures[:4]):
            with Image.open(out / cell["image"]) as picture:
                zoom = max(side // max(picture.size), 1)
                shown = picture.convert("RGB").resize(
                    (picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST
                )
            left = _EDGE + number * (side + 40)
            made.paste(shown.crop((0, 0, side, side)), (left, top))
            draw.text((left, top + side + 14), cell["name"], fill=_ACCENT, font=ImageFont.load_default(28))
    else:
        for number, cell in enumerate([one for one in first["cells"] if one.get("spans")][:4]):
            y = top + 80 * number
            draw.text((_EDGE, y), cell["name"][:18], fill=_ACCENT, font=ImageFont.load_default(28))
            x = _EDGE + 270.0
            for text, level in cell["spans"]:
                for letter in text.replace("\n", " "):
                    width = draw.textlength(letter, font=ImageFont.load_default(28))
                    if x + width > _SIZE[0] - _EDGE:
                        break
                    draw.rectangle((x, y - 2, x + width, y + 36), fill=_TINTS[level])
                    draw.text((x, y), letter, fill=_INK, font=ImageFont.load_default(28))
                    x += width
    file = io.BytesIO()
    made.save(file, "PNG", optimize=True)
    return file.getvalue()

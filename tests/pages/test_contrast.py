"""The colours that all pages share can be read: contrasts by WCAG 2.2, success criteria 1.4.3 and 1.4.11."""

from __future__ import annotations

import re

import pytest

from compgen.display import _ON_TINT, _TINTS, LEVELS, surprisal_level
from compgen.pages import static

COLOURS = {
    match[1]: (match[2], match[3])
    for match in re.finditer(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", static("base.css"))
}


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_all_text_can_be_read(theme: int) -> None:
    for ground in ("ground", "card", "sunk", "mat"):
        for ink in ("ink", "soft", "accent", "mark"):
            assert contrast(COLOURS[ink][theme], COLOURS[ground][theme]) >= 4.5, (ink, ground)
    for ground in ("ground", "card", "sunk"):
        assert contrast(COLOURS["strong-line"][theme], COLOURS[ground][theme]) >= 3, "edges of controls"
    assert contrast(COLOURS["on-accent"][theme], COLOURS["accent"][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_surprisal_can_be_read_and_told_apart_without_hue(theme: int) -> None:
    grounds = [COLOURS["card"][theme]] + [COLOURS[f"s{level}"][theme] for level in range(1, 7)]
    assert all(contrast(COLOURS["on-s"][theme], ground) >= 4.5 for ground in grounds[1:])
    shades = [luminance(ground) for ground in grounds]
    assert shades == sorted(shades, reverse=theme == 0), "lightness alone orders them"
    assert len(set(shades)) == len(LEVELS) + 1


def test_notebooks_have_the_same_colours() -> None:
    assert list(_TINTS) == [COLOURS[f"s{level}"][0] for level in range(1, 7)]
    assert COLOURS["on-s"][0] == _ON_TINT


def test_levels() -> None:
    assert [surprisal_level(bits) for bits in (-1, 0, 0.99, 1, 2, 3.9, 4, 6, 8, 9.9, 10, 99)] == [
        0,
        0,
        0,
        1,
        2,
        2,
        3,
        4,
        5,
        5,
        6,
        6,
    ]

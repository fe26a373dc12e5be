"""Figures show the names that users give as they are."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from compgen.evaluation.figures import Axis, curves, dots, render

NAMES = ["costs $5", r"$\nothing{$", "a_b^c", "<b>&amp;"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_no_formulas(name: str) -> None:
    """A name with dollar signs was once read as a formula, and one that is none ended in a traceback."""
    for figure in (
        curves({name: {name: [(1, 2.0), (2, 1.0)]}}, Axis(name, 2), Axis("bits")),
        dots({name: {name: {name: 2.0}}}, Axis("bits")),
    ):
        shown = render(figure, "svg").decode()
        assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in shown

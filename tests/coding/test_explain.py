"""The picture of arithmetic coding has the right numbers, and is well-formed for any text."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import pytest

import compgen
from compgen.coding.explain import explain
from compgen.errors import UsageError
from compgen.models import load


def test_intervals_nest_and_the_code_lies_inside(prose: bytes) -> None:
    shown = explain(load("backoff"), b"the keeper", prose)
    low, width = Fraction(0), Fraction(1)
    for step in shown.steps:
        assert low <= step.low < step.low + step.width <= low + width
        low, width = step.low, step.width
    assert shown.bits == pytest.approx(compgen.score("backoff", b"the keeper", prose).surprisals.sum())
    number = Fraction(int(shown.code, 2), 2 ** len(shown.code))
    assert low <= number < number + Fraction(1, 2 ** len(shown.code)) <= low + width
    assert shown.bits <= len(shown.code) < shown.bits + 2


@pytest.mark.parametrize("text", [b"AIXI", b"<&\"'>\x00\x1b\n\t \xff", b"x" * 64])
def test_the_picture_is_well_formed(text: bytes) -> None:
    svg = explain(load("uniform"), text).svg()
    root = ElementTree.fromstring(svg)  # noqa: S314 - we wrote it
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{*}line")) == 2 * (len(text) - 1)
    assert "\x1b" not in svg


def test_only_so_many_bytes() -> None:
    for text in (b"", b"x" * 65):
        with pytest.raises(UsageError, match="1 to 64"):
            explain(load("uniform"), text)

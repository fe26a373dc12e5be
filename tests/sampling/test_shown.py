"""How results look where they are printed, and in a notebook."""

from __future__ import annotations

import base64
import io
import pydoc
import re
from pathlib import Path

import pytest

import compgen
from compgen.media import recognise
from compgen.media.base import Medium

PROMPTS = Path(__file__).parents[2] / "examples/prompts"


def item(name: str) -> tuple[bytes, Medium]:
    pytest.importorskip("PIL")
    pytest.importorskip("soundfile")
    file = (PROMPTS / name).read_bytes()
    return recognise(file).encode(file)


def test_a_result_prints_as_three_lines() -> None:
    """It once printed the array of surprisals."""
    one = compgen.sample("backoff", "she sells sea shells " * 9, length=300, seed=1)
    several = compgen.sample("backoff", "she sells sea shells " * 9, length=9, seed=1, samples=3)
    scored = compgen.score("gzip", "she sells", "sea shells by ")
    for result in (one, several, one[0], scored):
        assert str(result).count("\n") == 2, result
        assert "array" not in str(result) + repr(result)
        assert max(map(len, str(result).splitlines())) <= 100
    told = str(one).splitlines()
    assert told[0] == "backoff, ancestral:allow=utf-8, seed 1"
    assert told[1] == f"300 bytes, {one[0].bits_per_byte:.3f} bits per byte"
    assert one[0].text.startswith(told[2][:-2])
    assert str(several).splitlines()[1].startswith("3 samples, ")
    assert f"{scored.derived_bpb:.3f} bits per byte, own rate {scored.own_bpb:.3f}" in str(scored)


def test_a_notebook_shows_what_draws_it_again_and_a_legend() -> None:
    drawn = compgen.sample("backoff:order=3", "she sells <b>sea</b> shells " * 9, length=30, seed=7, samples=2)
    page = drawn._repr_html_()
    assert "backoff:order=3, ancestral:allow=utf-8, seed 7" in page
    assert page.count("bits that a character cost") == 1
    assert page.count("<pre") == 2
    assert page.count("border-top") == 1, "samples are parted"
    for number, sample in enumerate(drawn, 1):
        assert f"sample {number} of 2: 30 bytes, {sample.bits_per_byte:.3f} bits per byte" in page
    assert "<b>sea" not in page
    assert "sea&lt;/b&gt; shells" in page, "the end of the prompt is shown before the sample"
    assert "bits that a character cost" in drawn[0]._repr_html_()
    scored = compgen.score("gzip", "<b>she sells</b>")._repr_html_()
    assert "gzip:rule=decoder" in scored
    assert "bits that a character cost" in scored
    assert "<b>she" not in scored


def pictured(page: str) -> tuple[tuple[int, int], bytes]:
    image = pytest.importorskip("PIL.Image")
    found = image.open(io.BytesIO(base64.b64decode(re.findall(r"data:image/png;base64,([^\"]+)", page)[0])))
    return found.size, found.tobytes()


def test_a_picture_is_shown_with_what_was_given() -> None:
    content, medium = item("hills.png")
    half = len(content) // 2
    drawn = compgen.sample("backoff", content[:half], length=half, seed=1, layout=medium)
    size, pixels = pictured(drawn._repr_html_())
    assert size == (64, 48)
    assert pixels == content[:half] + drawn[0].data
    assert "the first 24 rows are given" in drawn._repr_html_()
    assert "64 x 24 pixels" in str(drawn)
    assert drawn[0].data == compgen.sample("backoff", content[:half], length=half, seed=1, layout=medium.layout)[0].data


def test_rows_are_shown_as_one_picture() -> None:
    content, medium = item("hills.png")
    rows = [content[i : i + 20] for i in range(0, 640, 64)]
    drawn = compgen.sample("backoff", rows, length=44, seed=1, layout=medium)
    size, pixels = pictured(drawn._repr_html_())
    assert size == (64, 10)
    assert pixels == b"".join(row + one.data for row, one in zip(rows, drawn, strict=True))
    assert "the first 20 pixels of each row are given" in drawn._repr_html_()


def test_sound_gets_a_player() -> None:
    soundfile = pytest.importorskip("soundfile")
    content, medium = item("strings.wav")
    drawn = compgen.sample("backoff", content[:4000], length=1000, seed=1, layout=medium, samples=2)
    page = drawn._repr_html_()
    files = re.findall(r'<audio controls src="data:audio/wav;base64,([^"]+)"', page)
    assert [soundfile.info(io.BytesIO(base64.b64decode(one))).frames for one in files] == [5000, 5000]
    assert page.count("the given part ends at 0.50 s; what was made has -") == 2
    assert "0.12 s of sound at 8,000 Hz" in str(drawn)


def test_help_starts_with_the_functions() -> None:
    told = pydoc.plain(pydoc.render_doc(compgen))
    start = told.index("Functions::")
    assert told[:start].count("\n") < 8
    names = re.findall(r"^ +(\w+)\(", told[start : told.index("A compressor is named")], re.MULTILINE)
    assert names == ["sample", "score", "compress", "decompress", "open", "load", "ncd", "register"]
    for name in names:
        assert callable(getattr(compgen, name))

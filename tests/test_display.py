from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from compgen.display import TextStream, characters, readable, readable_lines, surprisal_colour, surprisal_html


def test_what_could_control_a_terminal_is_shown_instead() -> None:
    assert readable(b"a\x1b[31mb\x00\x7f\r\n\tc") == "a\u241b[31mb\u2400\u2421\u240d\n\tc"
    assert readable("\u202e\u0085\u2028x".encode()) == "\ufffd\ufffd\ufffdx"
    assert readable(b"\xff\xc3") == "\ufffd\ufffd"
    assert readable("naïve 日本 🙂".encode()) == "naïve 日本 🙂"


def test_an_end_of_a_line_is_one() -> None:
    assert readable_lines(b"a\r\nb\rc\n") == "a\nb\u240dc\n"


@given(st.binary(max_size=60))
def test_a_stream_shows_what_the_whole_would(data: bytes) -> None:
    stream = TextStream()
    shown = "".join(stream.feed(bytes([b])) for b in data) + stream.feed(b"", final=True)
    assert shown == readable(data)
    assert all(c.isprintable() or c in "\n\t" for c in shown)


@given(st.binary(max_size=60))
@example(b"\xed\xa0")
@example(b"\xed\xa0A\xed\xa0\xed")
def test_characters_carry_all_the_surprisal(data: bytes) -> None:
    surprisals = np.arange(1.0, len(data) + 1)
    found = list(characters(data, surprisals))
    assert "".join(c for c, _ in found) == readable(data)
    assert np.isclose(sum(bits for _, bits in found), surprisals.sum())


def test_a_character_of_several_bytes_sums_them() -> None:
    assert list(characters("é!".encode(), np.array([3.0, 4.0, 1.0]))) == [("é", 7.0), ("!", 1.0)]


def test_what_breaks_a_character_keeps_its_own_surprisal() -> None:
    """The byte after a broken character once had no surprisal, and the broken character had that of both."""
    broken = "\ufffd"
    assert list(characters(b"\xe2A", np.array([1.0, 10.0]))) == [(broken, 1.0), ("A", 10.0)]
    assert list(characters(b"\xe2\xe2\x82\xac", np.array([1.0, 10, 20, 30]))) == [(broken, 1.0), ("€", 60.0)]
    assert list(characters(b"\xe2\xff", np.array([1.0, 2.0]))) == [(broken, 1.0), (broken, 2.0)]
    assert list(characters(b"\xed\xa0", np.array([1.0, 2.0]))) == [(broken, 1.0), (broken, 2.0)], "half a surrogate"
    assert list(characters(b"\xe2\x82", np.array([1.0, 2.0]))) == [(broken, 3.0)]


def test_colours_run_from_expected_to_surprising() -> None:
    assert surprisal_colour(-1) == surprisal_colour(0) == "#2ea043"
    assert surprisal_colour(12) == surprisal_colour(99) == "#cf226e"
    assert len({surprisal_colour(b) for b in range(13)}) == 13


def test_html_is_escaped() -> None:
    page = surprisal_html(b"<b>&\x1b", np.ones(5))
    assert "<b>" not in page
    assert "&lt;" in page
    assert "&amp;" in page
    assert "\x1b" not in page

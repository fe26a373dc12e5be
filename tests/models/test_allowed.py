from __future__ import annotations

import itertools
import unicodedata
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compgen.display import readable
from compgen.errors import UsageError
from compgen.models import load
from compgen.models.allowed import Allowed, allowed, restricted, surprisals, whole
from compgen.models.base import PRECISION


def accepts(permitted: Allowed, data: bytes) -> bool:
    for symbol in data:
        if not permitted.mask()[0, symbol]:
            return False
        permitted.extend(np.array([symbol], dtype=np.uint8))
    return True


def begins_utf8(data: bytes) -> bool:
    """Return whether Python decodes ``data`` with some end of a character behind it."""
    ends = [b"", *(bytes([first]) + b"\x80" * more for first in (0x80, 0x90, 0xA0) for more in range(3))]
    return any(is_utf8(data + end) for end in ends)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.text(max_size=6).map(lambda t: t.encode("utf-8", "surrogatepass")) | st.binary(max_size=6))
def test_utf8_accepts_just_what_python_decodes(data: bytes) -> None:
    assert accepts(allowed("utf-8", [b""]), data) == begins_utf8(data)


def test_utf8_at_every_border_of_the_tables() -> None:
    borders = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
               0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]  # fmt: skip
    for size in (1, 2, 3):
        for data in itertools.product(borders, repeat=size):
            assert accepts(allowed("utf-8", [b""]), bytes(data)) == begins_utf8(bytes(data))
    for lead, second in itertools.product((0xF0, 0xF1, 0xF4), borders):
        four = bytes([lead, second, 0x80, 0xBF])
        assert accepts(allowed("utf-8", [b""]), four) == begins_utf8(four)


@given(st.characters())
def test_printable_is_what_can_be_shown(character: str) -> None:
    surrogate = "\ud800" <= character <= "\udfff"
    expected = not surrogate and (
        character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"
    )
    assert accepts(allowed("printable", [b""]), character.encode("utf-8", "surrogatepass")) == expected
    assert surrogate or (readable(character.encode()) == character) == expected or character == "\ufffd"


@pytest.mark.parametrize("name", ["utf-8", "printable"])
@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_there_is_always_a_way_on(name: str, length: int, random: Random) -> None:
    permitted, data = allowed(name, [b""]), bytearray()
    for _ in range(length):
        choices = np.flatnonzero(permitted.mask()[0])
        data.append(random.choice(choices))
        permitted.extend(np.array([data[-1]], dtype=np.uint8))
    data[: whole(name, data)].decode()
    assert length - whole(name, data) < 4


def test_a_character_that_a_prompt_leaves_unfinished_is_finished() -> None:
    euro = "€".encode()
    permitted = allowed("utf-8", [b"abc" + euro[:1], b"abc" + euro[:2], b"abc" + euro, b"\xff", euro[1:2]])
    assert permitted.mask()[:, ord("x")].tolist() == [False, False, True, True, True]
    assert permitted.mask()[:, euro[1]].tolist() == [True, True, False, False, False]
    assert allowed("printable", [b"\xe2\x80"]).mask()[0, 0x94]  # an em dash
    assert not allowed("printable", [b"\xe2\x80"]).mask()[0, 0xAE]  # what turns the direction of text


def test_restricted_frequencies_are_integers_that_sum_to_one() -> None:
    generator = np.random.default_rng(1)
    mask = np.ones((3, 256), dtype=np.bool_)
    frequencies = load("gzip").start([b"abcabc"] * 3).frequencies()
    assert restricted(frequencies, mask) is frequencies
    mask[:2] = generator.random((2, 256)) < 0.5
    mask[1] = np.arange(256) == 7
    shares = restricted(frequencies, mask)
    assert (shares.sum(axis=1) == 1 << PRECISION).all()
    assert np.array_equal(shares > 0, mask)
    kept = np.where(mask, frequencies, 0) / np.where(mask, frequencies, 0).sum(axis=1, keepdims=True)
    assert np.abs(shares / 2**PRECISION - kept).max() < 256 / 2**PRECISION
    bits = np.where(mask, surprisals(frequencies, mask), np.inf)
    assert np.allclose(np.exp2(-bits), kept)


def test_rows_go_their_own_ways_and_fork() -> None:
    permitted = allowed("utf-8", [b"", b""])
    permitted.extend(np.array([0xE0, 0x41], dtype=np.uint8))
    swapped = permitted.fork([1, 0, 0])
    assert swapped.mask()[:, 0x80].tolist() == [False, False, False]
    assert swapped.mask()[:, 0xA0].tolist() == [False, True, True]
    assert swapped.mask()[:, 0x41].tolist() == [True, False, False]


def test_named_sets_and_alphabets() -> None:
    assert np.flatnonzero(allowed("printable", [b""]).mask()[0, :128]).tolist() == [9, 10, *range(32, 127)]
    assert np.flatnonzero(allowed("chars:CAB", [b""]).mask()[0]).tolist() == [65, 66, 67]
    assert np.flatnonzero(allowed(r"chars:\n\t\\\xff", [b""]).mask()[0]).tolist() == [9, 10, 92, 255]
    assert allowed(None, [b""] * 2).mask().all()
    assert allowed("bytes", [b"x"]).mask().all()
    assert allowed("chars:A", [b""]).fork([0, 0, 0]).mask().shape == (3, 256)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("printible", "did you mean 'printable'"),
        ("chars:", "at least one character"),
        (r"chars:\q", r"escape '\\q'"),
        ("chars:é", "takes ASCII, since it allows single bytes, and 'é' has several; allow utf-8"),
    ],
)
def test_a_wrong_set_names_its_fix(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        allowed(name, [b""])

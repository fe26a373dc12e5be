from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compgen.errors import UsageError
from compgen.sampling.allowed import Allowed, allowed


def accepts(permitted: Allowed, data: bytes) -> bool:
    for position, symbol in enumerate(data):
        if not permitted.mask(len(data) - position)[0, symbol]:
            return False
        permitted.extend(np.array([symbol], dtype=np.uint8))
    return True


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.text(max_size=6).map(lambda t: t.encode("utf-8", "surrogatepass")) | st.binary(max_size=6))
def test_utf8_accepts_just_what_python_decodes(data: bytes) -> None:
    assert accepts(allowed("utf-8", 1), data) == is_utf8(data)


def test_utf8_at_every_border_of_the_tables() -> None:
    borders = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
               0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]  # fmt: skip
    for size in (1, 2, 3):
        for data in itertools.product(borders, repeat=size):
            assert accepts(allowed("utf-8", 1), bytes(data)) == is_utf8(bytes(data))
    for lead, second in itertools.product((0xF0, 0xF1, 0xF4), borders):
        four = bytes([lead, second, 0x80, 0xBF])
        assert accepts(allowed("utf-8", 1), four) == is_utf8(four)


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_there_is_always_a_way_on(length: int, random: object) -> None:
    permitted = allowed("utf-8", 1)
    for left in range(length, 0, -1):
        choices = np.flatnonzero(permitted.mask(left)[0])
        assert len(choices)
        permitted.extend(np.array([random.choice(choices)], dtype=np.uint8))  # type: ignore[attr-defined]


def test_rows_go_their_own_ways_and_fork() -> None:
    permitted = allowed("utf-8", 2)
    permitted.extend(np.array([0xE0, 0x41], dtype=np.uint8))
    swapped = permitted.fork([1, 0, 0])
    assert swapped.mask(9)[:, 0x80].tolist() == [False, False, False]
    assert swapped.mask(9)[:, 0xA0].tolist() == [False, True, True]
    assert swapped.mask(9)[:, 0x41].tolist() == [True, False, False]


def test_named_sets_and_alphabets() -> None:
    assert np.flatnonzero(allowed("printable", 1).mask(1)[0]).tolist() == [9, 10, *range(32, 127)]
    assert np.flatnonzero(allowed("chars:CAB", 1).mask(1)[0]).tolist() == [65, 66, 67]
    assert np.flatnonzero(allowed(r"chars:\n\t\\\xff", 1).mask(1)[0]).tolist() == [9, 10, 92, 255]
    assert allowed(None, 2).mask(1).all()
    assert allowed("chars:A", 1).fork([0, 0, 0]).mask(1).shape == (3, 256)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("printible", "did you mean 'printable'"),
        ("chars:", "at least one character"),
        (r"chars:\q", r"escape '\\q'"),
        ("chars:é", "takes ASCII"),
    ],
)
def test_a_wrong_set_names_its_fix(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        allowed(name, 1)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compgen.errors import UsageError
from compgen.models.quantise import frequencies_from_lengths, frequencies_from_weights
from compgen.sampling.shaping import Shaping, draw, level

EVERY = np.ones((1, 256), dtype=np.bool_)


def row(*head: int) -> np.ndarray:
    """Return frequencies proportional to ``head`` for the first bytes, and the least for all others."""
    weights = np.zeros((1, 256), dtype=np.int64)
    weights[0, : len(head)] = head
    return frequencies_from_weights(weights)


def kept(shaping: Shaping, frequencies: np.ndarray, mask: np.ndarray = EVERY) -> list[int]:
    return np.flatnonzero(shaping.apply(frequencies, mask)[0]).tolist()


def test_the_default_changes_nothing() -> None:
    frequencies = row(5, 3, 1)
    assert np.allclose(Shaping().apply(frequencies, EVERY), frequencies / frequencies.sum())


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0, 100.0])
def test_temperature_is_a_power(temperature: float) -> None:
    frequencies = row(5, 3, 1)
    powered = (frequencies / frequencies.sum()) ** (1 / temperature)
    assert np.allclose(Shaping(temperature).apply(frequencies, EVERY), powered / powered.sum())


def test_greedy_keeps_the_best_and_all_that_tie_with_it() -> None:
    assert kept(Shaping(0), row(5, 3, 1)) == [0]
    assert kept(Shaping(0), row(1, 3, 3, 3, 2)) == [1, 2, 3]
    assert kept(Shaping(0), np.full((1, 256), 65536)) == list(range(256))


def test_a_tiny_temperature_does_not_overflow() -> None:
    assert kept(Shaping(1e-300), row(5, 3, 1))[0] == 0


def test_top_k_keeps_ties_together() -> None:
    assert kept(Shaping(top_k=2), row(5, 3, 1)) == [0, 1]
    assert kept(Shaping(top_k=2), row(5, 3, 3, 1)) == [0, 1, 2]
    assert kept(Shaping(top_k=255), np.arange(1, 2561, 10)[None]) == list(range(1, 256))
    assert kept(Shaping(top_k=256), row(5)) == list(range(256))
    assert kept(Shaping(top_k=1000), row(5)) == list(range(256))


def test_top_p_keeps_the_fewest_that_reach_it_and_ties_together() -> None:
    assert kept(Shaping(top_p=0.4), row(5, 3, 2)) == [0]
    assert kept(Shaping(top_p=0.6), row(5, 3, 2)) == [0, 1]
    assert kept(Shaping(top_p=0.6), row(4, 3, 3)) == [0, 1, 2]
    assert kept(Shaping(top_p=1.0), row(5)) == list(range(256))
    half = np.zeros((1, 256), dtype=np.int64)
    half[0, :3] = 1 << 23, 1 << 22, 1 << 22
    assert kept(Shaping(top_p=0.5), half) == [0], "half of the probability reaches a half"


def test_no_shape_breaks_a_tie_by_byte_order() -> None:
    """Of seven equal lengths, four once got 2396710 and three 2396709; min-p and low temperatures chose the four."""
    lengths = np.full((1, 256), 100.0)
    tied = [3, 10, 20, 30, 40, 50, 60]
    lengths[0, tied] = 10
    frequencies = frequencies_from_lengths(lengths)
    assert len(set(frequencies[0, tied])) == 2
    for shaping in (Shaping(min_p=1.0), Shaping(1e-7), Shaping(0.0), Shaping(top_k=1), Shaping(top_p=0.01)):
        probabilities = shaping.apply(frequencies, EVERY)[0]
        assert np.flatnonzero(probabilities > 0.01).tolist() == tied
        assert len(set(probabilities[tied])) == 1


def test_levelling_joins_neighbours_and_no_chains() -> None:
    row = np.array([[9, 8, 7, 6, 4, 4, 2]])
    assert level(row).tolist() == [[9, 9, 7, 7, 4, 4, 2]]


def test_min_p_is_a_share_of_the_best() -> None:
    assert kept(Shaping(min_p=0.5), row(6, 4, 2)) == [0, 1]
    assert kept(Shaping(min_p=0), row(6)) == list(range(256))


def test_shapes_apply_in_the_order_of_transformers() -> None:
    assert kept(Shaping(min_p=0.5), row(6, 4, 2)) == [0, 1]
    assert kept(Shaping(temperature=2.0, min_p=0.5), row(6, 4, 2)) == [0, 1, 2]
    assert kept(Shaping(top_k=2, top_p=0.6), row(5, 4, 2, 2, 2)) == [0, 1]
    assert kept(Shaping(top_k=2, top_p=0.5), row(5, 4, 2, 2, 2)) == [0], "half of what top-k keeps"


@pytest.mark.parametrize(
    "shaping",
    [Shaping(), Shaping(0), Shaping(1e-4), Shaping(0.5), Shaping(top_k=2), Shaping(top_p=0.6), Shaping(min_p=0.5)],
)
def test_a_rows_shape_does_not_depend_on_other_rows(shaping: Shaping) -> None:
    rows = np.vstack([row(5, 3, 1), row(0, 1, 1, 1, 1), row(9, 1)])
    shaped = shaping.apply(rows, EVERY.repeat(3, axis=0))
    for one, alone in zip(rows, shaped, strict=True):
        assert np.array_equal(shaping.apply(one[None], EVERY)[0], alone)


def test_what_ties_does_not_depend_on_what_is_allowed() -> None:
    frequencies = np.ones((1, 256), dtype=np.int64)
    frequencies[0, :3] = 9, 8, 7
    mask = EVERY.copy()
    mask[0, 0] = False
    assert kept(Shaping(0), frequencies, mask) == [1]


def test_shaping_leaves_the_models_frequencies_as_they_are() -> None:
    frequencies = np.array([[9, 8, 7, 6, 4, 4, 2]])
    level(frequencies)
    assert frequencies.tolist() == [[9, 8, 7, 6, 4, 4, 2]]


@given(
    st.lists(st.integers(0, 1000), min_size=256, max_size=256).filter(any),
    st.floats(0, 5),
    st.none() | st.integers(1, 300),
    st.none() | st.floats(0.01, 1),
    st.none() | st.floats(0, 1),
    st.sets(st.integers(0, 255), min_size=1),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_the_shape_a_drawn_byte_is_allowed(
    weights: list[int], temperature: float, k: int | None, p: float | None, m: float | None, allowed: set[int], u: float
) -> None:
    mask = np.zeros((1, 256), dtype=np.bool_)
    mask[0, list(allowed)] = True
    frequencies = frequencies_from_weights(np.array([weights]))
    probabilities = Shaping(temperature, k, p, m).apply(frequencies, mask)
    assert abs(probabilities.sum() - 1) < 1e-9
    assert int(draw(probabilities, np.array([u]))[0]) in allowed


def test_drawing_is_inversion() -> None:
    probabilities = np.zeros((3, 256))
    probabilities[:, [10, 20]] = 0.25, 0.75
    assert draw(probabilities, np.array([0.0, 0.2499, 0.25])).tolist() == [10, 10, 20]
    almost_one = np.nextafter(1, 0)
    assert draw(probabilities, np.full(3, almost_one)).tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": -0.1}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top-k"),
        ({"top_p": 0}, "top-p"),
        ({"top_p": 1.1}, "top-p"),
        ({"min_p": -1}, "min-p"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Shaping(**options)  # type: ignore[arg-type]

"""Shannon's guessing game: its score against codes worked out by hand, and its players."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("starlette")

from compgen.playground import game
from compgen.playground.desk import Desk


def test_passages_are_long_enough_and_hold_27_symbols() -> None:
    for passage in game.passages():
        assert len(passage.text) >= game.SHOWN + game.GUESSED
        assert set(passage.read + passage.text) <= set(game.LETTERS)
        assert passage.text not in passage.read


def test_the_score_is_a_code_length() -> None:
    assert game.rank_bits([]) == []
    first, second, third = game.rank_bits([1, 1, 2])
    assert first == pytest.approx(math.log2(27))
    assert second == pytest.approx(math.log2((27 * 0.25 + 1) / 1.25))
    assert third == pytest.approx(math.log2((27 * 0.25 + 2) / 0.25))
    # A code: over all games of two letters, 2**-bits sums to one.
    total = sum(2 ** -sum(game.rank_bits([a, b])) for a in range(1, 28) for b in range(1, 28))
    assert total == pytest.approx(1)


def test_who_knows_nothing_does_not_win() -> None:
    """The control: guesses in any order cost more than a letter of 27 does; one who knows all costs little."""
    random = np.random.default_rng(3)
    blind = np.mean([sum(game.rank_bits(random.integers(1, 28, game.GUESSED).tolist())) for _ in range(50)])
    assert blind / game.GUESSED > math.log2(27)
    assert sum(game.rank_bits([1] * game.GUESSED)) / game.GUESSED < 1.2


def test_compressors_play_by_their_own_chances() -> None:
    pytest.importorskip("pyppmd")
    told = game.standing(Desk(), 2, 12, [1] * 12)
    players = {player["name"]: player for player in told["players"]}
    assert list(players) == ["you", "gzip", "ppmd", "knows nothing"]
    assert players["ppmd"]["own"] < players["gzip"]["own"] < players["knows nothing"]["own"] == pytest.approx(4.755)
    assert all(1 <= rank <= 27 for player in players.values() for rank in player["ranks"])
    assert told["shown"] == game.passages()[2].text[: game.SHOWN + 12]


def test_a_guess_is_right_or_not() -> None:
    text = game.passages()[0].text
    assert game.is_right(0, 0, text[game.SHOWN])
    assert not game.is_right(0, 0, "q" if text[game.SHOWN] != "q" else "z")

"""Shannon's guessing game (1951, "Prediction and entropy of printed English"): people and compressors guess letters.

The alphabet is Shannon's: 26 letters and the space. A player guesses until the letter is right, so each letter becomes
a number, which guess was right. Whoever predicts as the player does can get the letters back from the numbers. So the
numbers hold all of the text, and their code length is a score in bits: ``rank_bits``. The same code prices the numbers
of people, of compressors, and of one who knows nothing and guesses in any order.
"""

from __future__ import annotations

import functools
import importlib.resources
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.base import ByteModel
from compgen.playground.desk import Desk
from compgen.playground.offered import missing, model

LETTERS = string.ascii_lowercase + " "
"""Shannon's 27 symbols."""

SHOWN = 48
"""Letters of a passage that are given. Chosen: enough to begin a thought."""

GUESSED = 40
"""Letters that are guessed. Chosen: a game of five minutes."""

_PRIOR = 0.25
"""What each number counts before the first letter. Chosen: with 1/2, forty letters cost one who is always right twice
as much, and all of it for learning that."""

_PLAYERS = ("gzip", "ppmd")


@dataclass(frozen=True)
class Passage:
    """A passage to guess, and what compressors have read before it, both in ``LETTERS``."""

    read: str
    text: str


def plain(text: str) -> str:
    """Return ``text`` in ``LETTERS``: letters in lower case, and a space for whatever stands between words."""
    return " ".join("".join(c if c in LETTERS else " " for c in text.lower().replace("'", "")).split())


@functools.cache
def passages() -> tuple[Passage, ...]:
    """Return the passages. Before each, compressors have read all the others."""
    file = importlib.resources.files("compgen.playground").joinpath("site", "passages.txt")
    texts = [plain(line) for line in file.read_text("utf-8").splitlines()]
    others = [" ".join([*texts[number + 1 :], *texts[:number]]) for number in range(len(texts))]
    return tuple(Passage(other + " ", text) for other, text in zip(others, texts, strict=True))


def rank_bits(ranks: Sequence[int]) -> list[float]:
    """Return the bits of each number by a code that learns as it goes how often each of 1 to 27 comes."""
    counts = np.full(len(LETTERS), _PRIOR)
    bits = []
    for rank in ranks:
        bits.append(float(np.log2(counts.sum() / counts[rank - 1])))
        counts[rank - 1] += 1
    return bits


def checked(number: int, place: int) -> Passage:
    """Return a passage, if the place is one of the letters that are guessed in it, or the end of them.

    Raises:
        UsageError: there is no such passage or place.
    """
    if not 0 <= number < len(passages()):
        raise UsageError(f"there is no such passage: there are {len(passages())}")
    if not 0 <= place <= GUESSED:
        raise UsageError(f"place must be 0 to {GUESSED} letters, not {place}")
    return passages()[number]


def standing(desk: Desk, number: int, place: int, ranks: Sequence[int]) -> dict[str, Any]:
    """Return a game after ``place`` letters.

    Args:
        desk: where states are kept.
        number: of the passage.
        place: how many letters are guessed.
        ranks: for each of them, which guess of the player was right, 1 to 27.

    Raises:
        UsageError: there is no such game.
    """
    passage = checked(number, place)
    if len(ranks) != place or not all(1 <= rank <= len(LETTERS) for rank in ranks):
        raise UsageError(f"ranks must be {place} numbers from 1 to {len(LETTERS)}")
    players = [_player("you", list(ranks), None)]
    for name in _PLAYERS:
        if name not in missing():
            guessed, bits = _guesses(desk, model(name, Layout()), passage, place)
            players.append(_player(name, guessed, bits))
    nothing = np.random.default_rng(number).integers(1, len(LETTERS) + 1, GUESSED)[:place].tolist()
    players.append(_player("knows nothing", nothing, [float(np.log2(len(LETTERS)))] * place))
    return {
        "passage": number,
        "passages": len(passages()),
        "shown": passage.text[: SHOWN + place],
        "left": GUESSED - place,
        "read": len(passage.read),
        "players": players,
    }


def is_right(number: int, place: int, letter: str) -> bool:
    """Return whether ``letter`` comes next.

    Raises:
        UsageError: there is no such place, or no such letter.
    """
    passage = checked(number, place)
    if place == GUESSED:
        raise UsageError("the game is over; begin another")
    if len(letter) != 1 or letter not in LETTERS:
        raise UsageError("guess a letter from a to z, or a space")
    return passage.text[SHOWN + place] == letter


def _player(name: str, ranks: list[int], own: list[float] | None) -> dict[str, Any]:
    bits = rank_bits(ranks)
    return {
        "name": name,
        "ranks": ranks,
        "bits": round(sum(bits) / len(bits), 3) if bits else None,
        "own": round(sum(own) / len(own), 3) if own else None,
    }


def _guesses(desk: Desk, by: ByteModel, passage: Passage, place: int) -> tuple[list[int], list[float]]:
    """Return, for each letter so far, which guess of a model is right, and the bits that its own chances make of it.

    The model guesses the likeliest letter first. Letters whose frequencies differ by one count or less are tied; the
    middle of them counts.
    """
    ranks, bits = [], []
    letters = np.frombuffer(LETTERS.encode(), dtype=np.uint8)
    for end in range(SHOWN, SHOWN + place):
        known = (passage.read + passage.text[:end]).encode()
        frequencies = desk.after(by, known).state.frequencies()[0][letters]
        own = frequencies[LETTERS.index(passage.text[end])]
        tied = int((abs(frequencies - own) <= 1).sum())
        ranks.append(int((frequencies > own + 1).sum()) + (tied + 1) // 2)
        bits.append(float(np.log2(frequencies.sum() / own)))
    return ranks, bits

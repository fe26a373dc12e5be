"""What the gallery says of each compressor and rule, and what a column does more than all others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from compgen.gallery.config import Column
from compgen.registry import Spec


@dataclass(frozen=True)
class Words:
    """What is said of a column: ``kind`` in two words or three, ``about`` and ``quirk`` in a sentence each."""

    kind: str
    about: str
    quirk: str


_COMPRESSORS = {
    "gzip": Words(
        "cuts and glues",
        "Writes single bytes, and copies of anything it wrote in the last 32 KB.",
        "It works with scissors: pieces of what it was given, glued in the middle of a word.",
    ),
    "xz": Words(
        "copies on and on",
        "Copies as gzip does, and remembers from how far back it copied before.",
        "Where a copy ends, it often copies on from the same distance.",
    ),
    "brotli": Words(
        "knows some words",
        "Copies as gzip does, and has a dictionary of 13,504 words that comes with it.",
        "Words that were never given to it come from its dictionary, other languages and HTML included.",
    ),
    "zstd": Words(
        "copies fast",
        "Copies as gzip does, from further back, and codes lengths and distances together.",
        "It copies longer pieces than gzip.",
    ),
    "ppmd": Words(
        "counts what follows",
        "Counts which byte followed the last few bytes, and falls back on fewer where it has seen nothing.",
        "Its words are nearly words, and its sentences lead nowhere.",
    ),
    "bz2": Words(
        "sorts a block",
        "Sorts all positions of a block by what follows them. It says nothing before a block ends.",
        "It has no law of its own, so compgen proposes and it only prices.",
    ),
    "png": Words(
        "paints in streaks",
        "Predicts each pixel from those to its left and above, and hands the differences to gzip's method.",
        "It paints in streaks: colours run on from their neighbours.",
    ),
    "flac": Words(
        "hisses in tune",
        "Predicts each sample from the ones before it, and spends bits on what is left over.",
        "It makes noise with the loudness and the colour of what came last.",
    ),
    "null": Words(
        "knows nothing",
        "The control: it spends 8 bits on each byte, whatever came before.",
        "What looks or sounds like this has nothing to do with compression.",
    ),
    "llm": Words(
        "was trained",
        "A small neural network over bytes, trained on text and kept inside the package.",
        "It is no compressor, until its predictions drive one.",
    ),
    "history": Words(
        "looks up",
        "A model with no compressor in it: what followed the last 1 to 24 bytes.",
        "It looks up the longest thing it remembers.",
    ),
}
"""By the name of the compressor, under the law of its decoder."""
_OTHER = Words("a plug-in", "A compressor or model of its own.", "See for yourself.")


def words(column: Column) -> Words:
    """Return what is said of a column. The config may say it otherwise."""
    found = _found(column)
    return Words(found.kind, column.about or found.about, column.quirk or found.quirk)


def _found(column: Column) -> Words:
    members = [] if column.compressor.startswith("command:") else column.compressor.split("+")
    if len(members) > 1:
        names = " and ".join(Spec.parse(one).name for one in members)
        return Words(
            "a mixture",
            f"{names[0].upper()}{names[1:]}, mixed: at each byte, whoever has been right lately counts for more.",
            "It copies where one of its members is sure, and guesses well where the other is.",
        )
    spec = Spec.parse(column.compressor)
    rule = column.rule or dict(spec.options).get("rule", "")
    if rule == "one-step":
        return Words(
            "the paper's rule",
            f"For each of the 256 bytes, {spec.name} compresses once more: a byte that adds few bits is probable.",
            "It looks one byte ahead, and a copy pays off later, so it hardly ever copies.",
        )
    if rule == "calibrated":
        return Words(
            "learns whom to trust",
            f"The parts of {spec.name}'s law, literals and copies, each trusted as far as it has been right.",
            f"Nothing was added to {spec.name}: over a compressor that knows nothing, this gains nothing.",
        )
    return _COMPRESSORS.get(spec.name, _OTHER)


_MOSTS: Sequence[tuple[str, str, str]] = (
    ("copy_rate", "text", "copies most: {:.0%} of its phrases of 16 bytes stand in the text it was given"),
    ("real_bpb", "text", "guesses best: real text costs it {:.2f} bits a byte"),
    ("louder", "audio", "is loudest: {:+.0f} dB against the sound it was given"),
    ("gradient_distance", "image", "is nearest to the original in the steps from pixel to pixel"),
    ("spectrum_distance_db", "audio", "is nearest to the original in its spectrum: {:.1f} dB away"),
    ("bits_per_byte", "text", "is surest of itself: its own text costs it {:.2f} bits a byte"),
)
"""(measure, medium, what is said of the column that leads). The greatest of copy_rate and louder leads, the least of
the others."""
_GREATEST = ("copy_rate", "louder")


def leaders(measured: Iterable[tuple[int, str, dict[str, Any]]]) -> dict[int, str]:
    """Return, by column, what it does more than all others: the first of its titles.

    Args:
        measured: (column, medium, measures) of each cell.
    """
    means: dict[tuple[str, str], dict[int, list[float]]] = {}
    for place, medium, table in measured:
        for name, of, _ in _MOSTS:
            if of == medium and isinstance(table.get(name), int | float):
                means.setdefault((name, of), {}).setdefault(place, []).append(table[name])
    found: dict[int, str] = {}
    for name, of, said in _MOSTS:
        columns = {place: sum(values) / len(values) for place, values in means.get((name, of), {}).items()}
        if len(columns) > 2:
            leader = (max if name in _GREATEST else min)(columns, key=columns.__getitem__)
            found.setdefault(leader, f"Of all here, it {said.format(columns[leader])}.")
    return found

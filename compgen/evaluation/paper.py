"""The paper's published rates, for comparison.

All are from Table 1 of "Language Modeling Is Compression" (Deletang et al., ICLR 2024, arXiv 2309.10668v2), measured
there on 1 GB of each set. A rate is compressed / raw size, %.
"""

from __future__ import annotations

SETS = ("enwik9", "ImageNet", "LibriSpeech", "random")
"""The paper's data sets, in the order of its columns."""

_RAW: dict[tuple[str, bool], tuple[float, float, float, float]] = {
    ("gzip", True): (32.3, 70.7, 36.4, 100.0),
    ("LZMA2", True): (23.0, 57.9, 29.9, 100.0),
    ("PNG", True): (42.9, 58.5, 32.2, 100.0),
    ("FLAC", True): (89.5, 61.9, 30.9, 107.8),
    ("gzip", False): (48.1, 68.6, 38.5, 100.1),
    ("LZMA2", False): (50.0, 62.4, 38.2, 100.0),
    ("PNG", False): (80.6, 61.7, 37.6, 103.2),
    ("FLAC", False): (88.9, 60.9, 30.3, 107.2),
    ("Transformer 200K", False): (30.9, 194.0, 146.6, 195.5),
    ("Transformer 800K", False): (21.7, 185.1, 131.1, 200.1),
    ("Transformer 3.2M", False): (17.0, 215.8, 228.2, 224.0),
    ("Llama 2 7B", False): (8.9, 53.4, 23.1, 103.2),
    ("Chinchilla 1B", False): (11.3, 62.2, 24.9, 108.8),
    ("Chinchilla 7B", False): (10.2, 54.7, 23.6, 101.6),
    ("Chinchilla 70B", False): (8.3, 48.0, 21.0, 100.8),
}
"""Raw rates (Table 1), a column for each set. A key holds the row's name, and True for the set in one piece or False
for chunks of 2,048 bytes."""

_ADJUSTED = {
    "Transformer 800K": (21.9, 185.3, 131.3, 200.3),
    "Transformer 3.2M": (17.7, 216.5, 228.9, 224.7),
    "Llama 2 7B": (1408.9, 1453.4, 1423.1, 1503.2),
    "Chinchilla 1B": (211.3, 262.2, 224.9, 308.8),
    "Chinchilla 70B": (14008.3, 14048.0, 14021.0, 14100.8),
}
"""Adjusted rates in chunks (Table 1), with 2 bytes for each parameter. Rows without weights are left out."""


def raw(row: str, data: str, whole: bool) -> float | None:
    """Return the paper's raw rate of a row and a set, %; None if the paper gives none."""
    return _RAW[row, whole][SETS.index(data)] if (row, whole) in _RAW and data in SETS else None


def adjusted(row: str, data: str) -> float | None:
    """Return the paper's adjusted rate of a row and a set, %, in chunks of 2,048 bytes; None if it gives none."""
    return _ADJUSTED[row][SETS.index(data)] if row in _ADJUSTED and data in SETS else None

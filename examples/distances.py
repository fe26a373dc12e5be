"""For each paragraph, the most similar one, by the normalised compression distance.

python examples/distances.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compgen.evaluation.ncd import distances


def main() -> None:
    text = (Path(__file__).parent / "prompts/lighthouse.txt").read_text()
    paragraphs = text.split("\n\n")
    matrix = distances(paragraphs, "bz2").matrix
    np.fill_diagonal(matrix, np.inf)
    for paragraph, row in zip(paragraphs, matrix, strict=True):
        nearest = paragraphs[int(row.argmin())]
        print(f"{row.min():.3f}  {paragraph[:44]!r}  ~  {nearest[:44]!r}")


if __name__ == "__main__":
    main()

"""For each paragraph, the most similar one, by the normalised compression distance.

python examples/distances.py
"""

from __future__ import annotations

from pathlib import Path

import compgen


def main() -> None:
    text = (Path(__file__).parent / "prompts/lighthouse.txt").read_text()
    paragraphs = [paragraph.encode() for paragraph in text.split("\n\n")]
    for paragraph in paragraphs:
        others = [other for other in paragraphs if other is not paragraph]
        nearest = min(others, key=lambda other: compgen.ncd(paragraph, other, "bz2"))
        distance = compgen.ncd(paragraph, nearest, "bz2")
        print(f"{distance:.3f}  {paragraph[:44].decode()!r}  ~  {nearest[:44].decode()!r}")


if __name__ == "__main__":
    main()

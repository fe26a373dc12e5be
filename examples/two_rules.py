"""Samples after one prompt by the paper's one-step rule and by the calibrated rule, for each compressor.

    python examples/two_rules.py [PROMPT]

Each sample is shown with its copy rate: the share of its 16-byte windows that the prompt holds verbatim. A good sample
has words and structure, and is not a copy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import compgen
from compgen.errors import MissingExtraError
from compgen.evaluation.metrics import copy_rate

SPECS = ["gzip", "bz2:window=2048", "xz:window=2048", "zstd", "zstd-dict", "brotli:window=2048", "ppmd:window=1024"]


def main() -> None:
    default = Path(__file__).parent / "prompts/lighthouse.txt"
    prompt = (Path(sys.argv[1]) if len(sys.argv) > 1 else default).read_bytes()
    for rule, length, specs in (("one-step", 40, SPECS), ("calibrated", 160, [*SPECS, "gzip+bz2+zstd"])):
        print(f"\n{rule}\n")
        for spec in specs:
            try:
                sample = compgen.sample(spec, prompt, length=length, seed=2, rule=rule, allow="printable")[0]
            except MissingExtraError as error:
                print(f"{spec:<20}{error}")
                continue
            copied = copy_rate(sample.data, prompt)
            print(f"{spec:<20}{sample.bits_per_byte:5.2f} bits per byte, copied {copied:4.0%}   {sample.text!r}")


if __name__ == "__main__":
    main()

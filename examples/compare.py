"""How each compressor continues the same prompt.

    python examples/compare.py [PROMPT]

The default prompt was written by the project. A compressor whose extra is not installed says so and is skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import compgen
from compgen.errors import MissingExtraError

SPECS = [
    "uniform",
    "gzip",
    "bz2:window=1024",
    "xz:window=1024",
    "zstd",
    "zstd-dict",
    "brotli",
    "ppmd",
    "backoff:order=5",
]


def main() -> None:
    default = Path(__file__).parent / "prompts/lighthouse.txt"
    prompt = (Path(sys.argv[1]) if len(sys.argv) > 1 else default).read_bytes()
    print(f"... {prompt[-60:].decode(errors='replace')!r}\n")
    for spec in SPECS:
        try:
            sample = compgen.sample(spec, prompt, length=60, seed=1, allow="printable")[0]
        except MissingExtraError as error:
            print(f"{spec:<18}{error}")
            continue
        print(f"{spec:<18}{sample.bits_per_byte:6.2f} bits per byte   {sample.text!r}")


if __name__ == "__main__":
    main()

"""One prompt continued under three rules, and how far the compressors are apart under each.

    python examples/three_rules.py [PROMPT]

``decoder`` is what the compressor's own decoder makes of random bits, ``calibrated`` the parts of that, with trust that
is learnt, ``one-step`` the paper's rule. ``null`` is the control: a compressor that knows nothing.

The tables give the mean Jensen-Shannon divergence, in bits, between two compressors' distributions of the next byte,
over 20 contexts: 0 where they expect the same, 1 where one expects only what the other excludes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import compgen
from compgen.errors import MissingExtraError

SPECS = ["gzip", "xz", "zstd", "brotli", "ppmd", "null"]
LENGTHS = {"decoder": 80, "calibrated": 80, "one-step": 24}  # bytes of a sample; one-step costs 256 encodings a byte
MOST = 2500  # bytes of the prompt that are known, so that the example takes seconds
CONTEXTS = range(1550, MOST + 1, 50)  # bytes that are known at each of the 20 contexts


def distributions(spec: str, rule: str, prompt: bytes) -> NDArray[np.float64]:
    """Return (contexts, 256) probabilities of the next byte after each of the contexts."""
    state = compgen.load(spec, rule=rule).start([prompt[:size] for size in CONTEXTS])
    return np.exp2(state.log2_probs())


def divergence(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the mean Jensen-Shannon divergence of rows of probabilities, all above 0, bits."""
    middle = (one + other) / 2
    return float(sum((part * np.log2(part / middle)).sum(axis=1).mean() for part in (one, other)) / 2)


def main() -> None:
    default = Path(__file__).parent / "prompts/lighthouse.txt"
    prompt = (Path(sys.argv[1]) if len(sys.argv) > 1 else default).read_bytes()[:MOST]
    print(f"... {prompt[-60:].decode(errors='replace')!r}")
    for rule, length in LENGTHS.items():
        print(f"\n{rule}\n")
        found = {}
        for spec in SPECS:
            try:
                sample = compgen.sample(spec, prompt, length=length, seed=2, rule=rule, allow="printable")[0]
            except MissingExtraError as error:
                print(f"{spec:<8}{error}")
                continue
            print(f"{spec:<8}{sample.bits_per_byte:5.2f} bits per byte   {sample.text!r}")
            found[spec] = distributions(spec, rule, prompt)
        print(f"\n{'':<8}" + "".join(f"{spec:>8}" for spec in found))
        for spec, one in found.items():
            print(f"{spec:<8}" + "".join(f"{divergence(one, other):8.3f}" for other in found.values()))


if __name__ == "__main__":
    main()

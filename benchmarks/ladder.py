"""The ladder: what each part of the calibrated rule adds, on gzip and text.

    python -m benchmarks.ladder [--data DIR] [--bytes N]

Each rung is a rate in bits per byte, after 32,000 bytes of context, on the same bytes. The one-step rungs score fewer
of them, since each byte costs 256 encodings. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from benchmarks.calibration import one_step
from benchmarks.real_data import parsed, read, windows
from compgen.compressors import COMPRESSORS
from compgen.media.layout import Layout
from compgen.models.contexts.patterns import ORDERS
from compgen.models.derived.effort import BEST, FAST, Effort
from compgen.models.derived.experts import FIRST_LOOKAHEAD, LITERALS, RECENT
from compgen.models.derived.proposals import Proposals, ProposalsRow
from compgen.models.derived.weights import initial_weights
from compgen.models.mixing import WEIGHT_ONE
from compgen.models.window import Window

FILES = ("text/enwik8_tail.xml", "text/tinyshakespeare.txt")
CONTEXT, WARM_UP = 32_000, 256
"""Bytes of context, and how many of them a row learns from. Chosen."""


WITHOUT_PRICES = dataclasses.replace(FAST, spans=0)
"""The effort that measures no prices, so that all earlier occurrences are worth the same."""


def trusting(expert: int) -> list[np.ndarray]:
    """Return weights that put everything on one expert."""
    families = [np.zeros_like(family) for family in initial_weights(FAST.name)]
    families[0][:, expert] = WEIGHT_ONE
    return families


def derived(pairs: list[tuple[bytes, bytes]], effort: Effort, weights: list[np.ndarray] | None, learns: bool) -> float:
    """Return the rate of one rung, bits per byte."""
    rule = Proposals(COMPRESSORS.build("gzip"), effort, Window(32_768), Layout())
    bits, count = 0.0, 0
    for context, segment in pairs:
        row = ProposalsRow(rule, context[:-WARM_UP], weights)
        if not learns:
            row.mixer.freeze()
        for position, symbol in enumerate(context[-WARM_UP:] + segment):
            if position >= WARM_UP:
                bits += 24 - float(np.log2(row.frequencies()[symbol]))
                count += 1
            row.extend(symbol)
    return bits / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1000, help="bytes scored in each of two windows of a file")
    arguments = parsed(parser)
    uneven = trusting(FIRST_LOOKAHEAD + len(ORDERS) - 1)
    rungs = (
        ("literals: the one-step distribution, measured now and then", FAST, trusting(LITERALS), False),
        ("lookahead of no context", FAST, trusting(RECENT), False),
        ("lookahead of the longest context, blended down", FAST, uneven, False),
        ("all experts, mixed online from the longest", FAST, uneven, True),
        ("all experts, fitted weights, fixed", FAST, None, False),
        ("all experts, fitted weights, learning, all prices equal", WITHOUT_PRICES, None, True),
        ("all experts, fitted weights, learning: effort=fast", FAST, None, True),
        ("effort=best", BEST, None, True),
    )
    table: dict[str, list[float]] = {}
    for name in FILES:
        data = read(arguments.data, name)
        pairs = windows(data, CONTEXT, arguments.bytes, 2)
        slow = one_step([(context, segment[:100]) for context, segment in pairs], 100)
        table.setdefault("one step, whole bytes (the paper's, ziplm's)", []).append(slow["one_step_whole_bytes"])
        table.setdefault("one step, exact bits", []).append(slow["one_step_exact_bits"])
        for label, effort, weights, learns in rungs:
            table.setdefault(label, []).append(derived(pairs, effort, weights, learns))
        gzip = COMPRESSORS.build("gzip")
        own = [np.diff(gzip.code_lengths(context, [b"", segment]))[0] / len(segment) for context, segment in pairs]
        table.setdefault("gzip's own rate, same windows", []).append(float(np.mean(own)))
    print(f"{'':<62}" + "".join(f"{Path(name).stem:>18}" for name in FILES))
    for label, values in table.items():
        print(f"{label:<62}" + "".join(f"{value:>18.3f}" for value in values))
    print(json.dumps({"benchmark": "ladder", "files": FILES, "bits_per_byte": table}))


if __name__ == "__main__":
    main()

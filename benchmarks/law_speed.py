"""What the decoder's laws cost: bytes per second, the first byte after a prompt, whole files there and back.

    python -m benchmarks.law_speed [--data DIR] [--quick]

Times are process times on one core. First: bytes per second of coding known text after 32,000 bytes, by compiled loops
that are loaded already and by NumPy or plain Python, beside the calibrated rule in the same run; zeros and a fax page
are the slowest input. Then: seconds to the first byte of a sample after a prompt of 32,767 bytes, without compiled
loops, wherever the laws begin anew last. Then whole files, compressed, decoded and compared, beside the compressors
themselves. The last line is JSON. ``--quick`` takes 2 KB of each.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

import compgen
from benchmarks.real_data import parsed
from compgen import jit
from compgen.compressors import COMPRESSORS
from compgen.laws import copies, forward, ppmd_model
from compgen.models import load

CONTEXT = 32_000
PNG = "png:width=384,rule=decoder"
CALIBRATED = tuple(f"{name}:rule=calibrated" for name in ("gzip", "xz", "zstd", "brotli", "ppmd"))
LOOPS = (jit.SMALL, forward.LOOPS, copies.LOOPS, ppmd_model.LOOPS)


def seconds(work: Callable[[], object]) -> float:
    """Return the process time that ``work`` takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def use(cost: float) -> None:
    """Have loops run compiled from the first call on, for a ``cost`` of 0, or never, for infinity."""
    for loops in LOOPS:
        loops.cost = cost


def reading(spec: str, data: bytes, count: int) -> float:
    """Return bytes per second of coding ``count`` bytes after the context."""
    known = np.frombuffer(data[CONTEXT : CONTEXT + count], dtype=np.uint8).reshape(-1, 1)
    load(spec).start([data[:CONTEXT]]).consume(known[:20])  # with all that is only done once
    state = load(spec).start([data[:CONTEXT]])
    return len(known) / seconds(lambda: state.consume(known))


def there_and_back(spec: str, data: bytes) -> tuple[int, float, float]:
    """Return the size of the file, and bytes per second of coding and of decoding it."""
    blob = b""

    def code() -> None:
        nonlocal blob
        blob = compgen.compress(data, spec, verify=False)

    coding = seconds(code)
    decoding = seconds(lambda: same(compgen.decompress(blob, spec), data))
    return len(blob), len(data) / coding, len(data) / decoding


def same(one: bytes, other: bytes) -> None:
    assert one == other, "it did not come back"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 KB of each")
    arguments = parsed(parser)
    corpora = arguments.data / "corpora/canterbury"
    alice, fax = (corpora / "alice29.txt").read_bytes(), (corpora / "ptt5").read_bytes()
    records = (corpora / "kennedy.xls").read_bytes()
    inputs = {"alice29.txt": alice, "kennedy.xls": records, "ptt5": fax, "zeros": bytes(100_000)}
    much, some = (2000, 500) if arguments.quick else (60_000, 5000)
    results: dict[str, Any] = {"reading": {}, "first_byte": {}, "whole": {}}

    print(f"{'coding known text, bytes/s':<34}{'compiled':>12}{'not':>12}")
    photograph = np.asarray(Image.open(arguments.data / "image/kodak_half/kodim23.png").convert("L"))
    pictures = {"Kodak 23, gray": photograph.tobytes()}
    for spec in ("gzip:rule=decoder", "ppmd:rule=decoder", PNG, *CALIBRATED):
        law = spec not in CALIBRATED
        given = {"alice29.txt": alice} if not law else pictures if spec == PNG else inputs
        for name, data in given.items():
            found = []
            for cost, count in ((0.0, much if law else some), (math.inf, some)):
                use(cost)
                found.append(reading(spec, data, count))
            results["reading"][f"{spec}, {name}"] = found
            print(f"{f'{spec}, {name}':<34}{found[0]:>12.0f}{found[1]:>12.0f}", flush=True)
    ratio = (
        results["reading"]["gzip:rule=decoder, alice29.txt"][0]
        / results["reading"]["gzip:rule=calibrated, alice29.txt"][0]
    )
    print(f"gzip's law is {ratio:.0f} times as fast as the calibrated rule, both compiled")

    print(f"\n{'first byte after 32,767, seconds':<34}{'not compiled':>12}")
    use(math.inf)
    for spec in ("gzip:rule=decoder", "ppmd:rule=decoder", *CALIBRATED):
        for name, data in inputs.items() if spec not in CALIBRATED else [("alice29.txt", alice)]:
            took = seconds(lambda spec=spec, data=data: load(spec).start([data[:32_767]]).frequencies())  # type: ignore[misc]
            results["first_byte"][f"{spec}, {name}"] = took
            print(f"{f'{spec}, {name}':<34}{took:>12.2f}", flush=True)

    print(f"\n{'whole files':<40}{'bytes':>10}{'coded, B/s':>12}{'decoded, B/s':>13}{'itself':>10}")
    use(0.0)
    head = (arguments.data / "text/enwik8_head.xml").read_bytes()[: 1 << 20]
    for name, data in {"alice29.txt": alice, "1 MB of enwik8_head.xml": head}.items():
        data = data[:2000] if arguments.quick else data
        for compressor in ("gzip", "ppmd"):
            size, coded, decoded = there_and_back(f"{compressor}:rule=decoder", data)
            itself = len(COMPRESSORS.build(compressor).compress(data))
            results["whole"][f"{compressor}, {name}"] = [size, coded, decoded, itself]
            label = f"{compressor}'s law, {name}"
            print(f"{label:<40}{size:>10}{coded:>12.0f}{decoded:>13.0f}{itself:>10}", flush=True)
    print(json.dumps({"benchmark": "law_speed", "quick": arguments.quick, "results": results}))


if __name__ == "__main__":
    main()

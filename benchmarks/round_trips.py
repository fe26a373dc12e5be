"""Compress and decompress real files, and compare the bytes.

    python -m benchmarks.round_trips SPEC ... [--bytes N] [--data DIR] [--only TEXT]

The files are the first N bytes of every file of the Canterbury, Calgary and Artificial corpora, of an utterance as FLAC
and in 8 bits, and of a photograph as PNG and as luminance. There is a line for each file, and one for each spec. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import compgen
from benchmarks.real_data import parsed, read

FOLDERS = ("corpora/canterbury", "corpora/calgary", "corpora/artificial")
"""The folders of corpora in the folder of real data (docs/data.md)."""


def inputs(data: Path, size: int) -> dict[str, bytes]:
    """Return the first ``size`` bytes of each file, by name."""
    found = {
        f"{folder.rpartition('/')[2]}/{path.name}": path.read_bytes()[:size]
        for folder in FOLDERS
        for path in sorted((data / folder).iterdir())
        if path.is_file()
    }
    found["speech.flac"] = (data / "audio/librispeech_test_other/1688-142285-0000.flac").read_bytes()[:size]
    found["kodak.png"] = min((data / "image/kodak_half").glob("*.png")).read_bytes()[:size]
    return {**found, "speech 8 bit": read(data, "speech")[:size], "kodak luminance": read(data, "kodak")[:size]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="+")
    parser.add_argument("--bytes", type=int, default=65_536)
    parser.add_argument("--only", default="", help="use only files whose name contains this text")
    arguments = parsed(parser)
    files = {n: d for n, d in inputs(arguments.data, arguments.bytes).items() if arguments.only in n}
    results: list[dict[str, Any]] = []
    for spec in arguments.specs:
        total = written = 0
        begin = time.perf_counter()
        for name, content in files.items():
            blob = compgen.compress(content, spec, verify=False)
            assert compgen.decompress(blob) == content, f"{spec} does not give {name} back"
            total, written = total + len(content), written + len(blob)
            print(f"{spec:<30}{name:<28}{len(content):>8}{len(blob):>8}", flush=True)
        seconds = time.perf_counter() - begin
        results.append({"spec": spec, "files": len(files), "bytes": total, "cgn": written, "seconds": seconds})
        print(f"{spec}: {len(files)} files, {total} bytes to {written}, all came back, in {seconds:.0f} s", flush=True)
    print(json.dumps({"benchmark": "round_trips", "results": results}))


if __name__ == "__main__":
    main()

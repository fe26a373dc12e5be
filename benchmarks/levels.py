"""Measure the levels of ``cgn compress``: bits per byte, and the seconds that a process takes, with and without numba.

    python -m benchmarks.levels [--data DIR] [--quick] [--levels 1,6]

The files are 100,000 bytes of alice29.txt, and 44,100 bytes each of kennedy.xls and of a WAV file of speech, mono in 16
bits. Every case is a process of its own, which verifies what it writes. Its time is user and system time, imports
included, the better of two runs, so that code is compiled already. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.real_data import parsed
from compgen.coding.levels import LEVELS

TEXT, OTHERS = 100_000, 44_100
"""Bytes of the text, and of the other files: half a second of sound and its header. Chosen."""

_CHILD = """
import resource, sys
path, spec, compiled = sys.argv[1:]
if compiled == "without":
    sys.modules["numba"] = None
import compgen
size = len(compgen.compress(open(path, "rb").read(), spec))
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(size, sum(one.ru_utime + one.ru_stime for one in used))
"""


def wav(data: Path) -> bytes:
    """Return a WAV file of speech."""
    import soundfile

    samples, rate = soundfile.read(data / "audio/librispeech_test_other/1688-142285-0000.flac", dtype="int16")
    out = io.BytesIO()
    soundfile.write(out, samples[16_000 : 16_000 + OTHERS // 2], rate, format="WAV", subtype="PCM_16")
    return out.getvalue()[:OTHERS]


def measured(path: Path, spec: str, compiled: str) -> tuple[int, float]:
    """Return the bytes of a compressed file, and the seconds that its process took."""
    runs = []
    for _ in range(2 if compiled == "with" else 1):
        words = [sys.executable, "-c", _CHILD, str(path), spec, compiled]
        size, seconds = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        runs.append((int(size), float(seconds)))
    return min(runs, key=lambda run: run[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 bytes of each file")
    parser.add_argument("--levels", default=",".join(map(str, LEVELS)), help="default: all")
    arguments = parsed(parser)
    data = arguments.data
    files = {
        "alice29.txt": (data / "corpora/canterbury/alice29.txt").read_bytes()[:TEXT],
        "kennedy.xls": (data / "corpora/canterbury/kennedy.xls").read_bytes()[:OTHERS],
        "speech.wav": wav(data),
    }
    rows: list[dict[str, Any]] = []
    print(f"{'level':<7}{'spec':<28}{'file':<13}{'numba':<9}{'bytes':>8}{'.cgn':>8}{'bits/byte':>11}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as place:
        for level in map(int, arguments.levels.split(",")):
            for name, whole in files.items():
                content = whole[:2000] if arguments.quick else whole
                path = Path(place, name)
                path.write_bytes(content)
                for compiled in ("with", "without"):
                    size, seconds = measured(path, LEVELS[level], compiled)
                    rate = 8 * size / len(content)
                    row = {"level": level, "spec": LEVELS[level], "file": name, "numba": compiled, "cgn": size}
                    rows.append({**row, "bytes": len(content), "bits_per_byte": rate, "seconds": seconds})
                    print(
                        f"{level:<7}{LEVELS[level]:<28}{name:<13}{compiled:<9}{len(content):>8}{size:>8}{rate:>11.3f}"
                        f"{seconds:>9.1f}",
                        flush=True,
                    )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

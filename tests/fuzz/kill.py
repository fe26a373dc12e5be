"""Kill a program at random moments while it writes a file. The old or the new file must be there, and no other.

Temporary files that the killed programs left are old enough in the end, and the next program deletes them.

python -m tests.fuzz.kill [N]
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import compgen

CHILD = """
import sys, time
from pathlib import Path
import compgen
source, target = map(Path, sys.argv[1:3])
compgen.compress(b"a warm start: all that takes long is imported", "backoff")
print("ready", flush=True)
with compgen.open(target, "wb", "backoff") as out:
    out.write(source.read_bytes())
print("done", flush=True)
"""


def kills(count: int, folder: Path, data: bytes, existed: bool) -> Counter[str]:
    """Return how often there was the old file, no file, the new file, or something else; and the files swept."""
    generator = random.Random(count)
    source, target = folder / "source", folder / "target.cgn"
    source.write_bytes(data)
    new = compgen.compress(data, "backoff")
    span = 0.05
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        target.unlink(missing_ok=True)
        if existed:
            target.write_bytes(b"old")
        words = [sys.executable, "-c", CHILD, str(source), str(target)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(generator.random() * span)
            child.kill()
            finished = child.stdout.read() == b"done\n"
        # The kills should spread over the whole of the writing: wait longer if it had not ended, shorter if it had.
        span = span * 0.9 if finished else span * 1.1
        found = target.read_bytes() if target.exists() else None
        kind = {None: "none", b"old": "old", new: "new"}.get(found, "other")
        if kind == ("none" if existed else "old"):
            kind = "other"
        outcomes[kind] += 1
    left = list(folder.glob(".cgn-*"))
    for path in left:
        os.utime(path, (0, 0))
    subprocess.run([sys.executable, "-c", CHILD, str(source), str(target)], check=True, capture_output=True)
    outcomes["other"] += sum(path.exists() for path in left)
    outcomes["swept"] = len(left)
    return outcomes


if __name__ == "__main__":
    text = (Path(__file__).parents[2] / "examples/prompts/lighthouse.txt").read_bytes()[:400]
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for before in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            print("replacing a file" if before else "a new file", dict(kills(total, Path(folder), text, before)))

"""Files whose checksums and fingerprints are right, and that name costly models: what they take must stay in bounds.

    python -m tests.fuzz.costs [--cases N] [--seed S]

Each case draws a spec of built-in models with odd options, lanes and lengths, and forges a file that names them. Its
checksums hold, and its fingerprint is the model's. The decoder must refuse it, or spend no more than ``Budget`` allows:
no case may take over ``SLOWEST`` seconds, and the process may not grow by more than ``MEMORY``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import random
import resource
import sys
import time
from collections import Counter

import compgen
from compgen.coding.budget import MEMORY, START
from compgen.coding.container import EndFrame, FrameWriter, ModelFrame, SegmentFrame, checksum
from compgen.coding.fingerprint import _fingerprint, fingerprint
from compgen.coding.trust import load_from_file
from compgen.errors import CompgenError, MissingExtraError
from compgen.models import ByteModel

SLOWEST = 10.0
"""Seconds that a case may take."""
_PATIENCE = 0.2
"""Seconds that a caller with little time spends on what a file holds."""
_RIGHT = 0.4
"""The share of files whose fingerprint is right, of those where it may be computed. It takes most of the time."""
_STEPS = 18
"""Distributions that a fingerprint computes: a byte takes about so much less time than the fingerprint."""
_COMPRESSORS = {
    "gzip": {"level": "1 9 10 0 -1"},
    "zlib": {"level": "6"},
    "deflate": {"level": "1"},
    "bz2": {"level": "1 9"},
    "xz": {"level": "0 9"},
    "zstd": {"level": "1 19 22 23"},
    "zstd-dict": {"level": "1 22"},
    "brotli": {"quality": "0 9 11 12"},
    "ppmd": {"order": "2 6 64 65", "memory": "1 64 65 1024 1_024 +1024 1025"},
    "png": {"width": "1 64 4096 65536 1048576 1048577", "channels": "1 2 3 4", "bits": "8 16"},
    "flac": {"channels": "1 2 8", "bits": "8 16"},
    "jpegxl": {"width": "1 64 16383", "channels": "1 3", "bits": "8 16"},
    "jpegls": {"width": "64 16383", "channels": "1 3"},
    "webp": {"width": "64 16383", "channels": "1 3"},
    "null": {},
    "command": {"timeout": "1"},
}
_MODEL = {
    "rule": "calibrated decoder one-step",
    "window": "1 100 8192 1048576 9_999_999 99999999999 -5",
}
_PROPOSALS = {
    "effort": "fast best",
    "stride": "1 24 65536 1048576 1048577",
    "pixel": "1 3 16 17",
    "depth": "8 16",
}
_OTHERS = [
    "uniform",
    "history",
    "history:stride=1048576",
    "history:window=1048576",
    "signal:pixel=4,depth=16",
    "signal:stride=1048575,pixel=3,window=99999999999",
    "backoff",
    "backoff:order=0",
    "backoff:order=32",
    "backoff:order=33",
    "llm",
    "llm:window=512",
]


def container(spec: str, lanes: int, length: int, right: bool = False, seed: int = 0) -> bytes:
    """Return a small file that names ``spec``, with one coded segment of ``length`` bytes. Its checksums hold.

    Args:
        spec: of the model.
        lanes: of the segment. Each has 8 bytes of code, which decode to anything.
        length: bytes that the segment claims to hold.
        right: whether the fingerprint is the model's.
        seed: of the code.
    """
    data = bytes(length)
    printed = fingerprint(load_from_file(spec)) if right else bytes(8)
    code = random.Random(seed).randbytes(8 * lanes)
    out = io.BytesIO()
    writer = FrameWriter(out)
    writer.model(ModelFrame(spec, printed, lanes, lanes > 1, "", 24))
    writer.segment(SegmentFrame(length, code, checksum(0, data), coded=True), data)
    out.write(b"E" + EndFrame(length, hashlib.blake2b(data, digest_size=16).digest()).pack())
    return out.getvalue()


def draw(generator: random.Random) -> str:
    """Return the spec of a model or of a mixture, legal or not."""
    members = [_member(generator) for _ in range(generator.choice([1, 1, 1, 1, 2, 4, 16, 17]))]
    if generator.random() < 0.3:
        members = [members[0]] * len(members)
    return "+".join(members)


def _member(generator: random.Random) -> str:
    if generator.random() < 0.15:
        return generator.choice(_OTHERS)
    name = generator.choice([*_COMPRESSORS])
    options: dict[str, str] = {}
    lawless = name in ("bz2", "jpegxl", "jpegls", "webp")  # others refuse these options
    for table, share in ((_COMPRESSORS[name], 0.6), (_MODEL, 0.25), (_PROPOSALS, 0.25 if lawless else 0.02)):
        options |= {k: generator.choice(v.split()) for k, v in table.items() if generator.random() < share}
    options.setdefault("rule", "calibrated")
    return name + ":" + ",".join(f"{key}={value}" for key, value in options.items())


def case(generator: random.Random) -> tuple[bytes, int]:
    """Return a file, and the most bytes that a caller with little time would accept from it."""
    spec = draw(generator)
    lanes = generator.choice([1, 1, 1, 2, 64, 1000, 4096])
    length = max(lanes, generator.choice([1, 20, 4096, 1 << 20, 1 << 24]))
    model: ByteModel | None = None
    try:
        model = load_from_file(spec)
        cheap = model.start_time <= START and generator.random() < _RIGHT
    except CompgenError:
        cheap = False
    try:
        blob = container(spec, lanes, length, right=cheap, seed=generator.randrange(1 << 30))
    except CompgenError:  # a codec that does not take such pictures
        blob = container(spec, lanes, length)
    return blob, max(1, int(_STEPS * _PATIENCE / model.start_time)) if model else 1 << 24


def run(cases: int, seed: int) -> Counter[str]:
    """Return how the cases ended."""
    outcomes: Counter[str] = Counter()
    for spec in ("gzip:rule=decoder", "llm"):  # loads libraries and compiled code
        with contextlib.suppress(MissingExtraError):
            compgen.decompress(compgen.compress(bytes(2000), spec))
    before = _peak()
    for number in range(cases):
        # On a busy machine a case may wait for long. One that takes long three times in a row takes long.
        for _ in range(3):
            begin = time.monotonic()
            blob, accepted = case(random.Random(f"{seed} {number}"))  # computes the fingerprint, which is then known
            ended = _decode(blob, accepted, number)
            seconds = time.monotonic() - begin
            if seconds < SLOWEST:
                break
            _fingerprint.cache_clear()
        assert seconds < SLOWEST, f"case {number}: {seconds:.1f} s for {blob[:600]!r}"
        outcomes[ended] += 1
        grown = _peak() - before
        assert grown < MEMORY, f"case {number}: the process grew by {grown >> 20} MiB for {blob[:600]!r}"
    outcomes["MiB"] = (_peak() - before) >> 20
    return outcomes


def _decode(blob: bytes, accepted: int, number: int) -> str:
    """Return how decoding ends."""
    try:
        compgen.decompress(blob, max_size=accepted)
    except CompgenError as error:
        return type(error).__name__
    except Exception as error:
        raise AssertionError(f"case {number}: {error!r} from {blob[:600]!r}") from error
    return "decoded"


def _peak() -> int:
    """Return the peak memory of this process, and of the largest of its children that have ended, bytes."""
    return 1024 * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # Without compiled loops: to compile them takes 130 MB and many seconds once, whatever a file says.
    sys.modules["numba"] = None  # type: ignore[assignment]
    begin = time.perf_counter()
    outcomes = run(arguments.cases, arguments.seed)
    print(f"{arguments.cases} cases in {time.perf_counter() - begin:.0f} s: {dict(outcomes)}")


if __name__ == "__main__":
    main()

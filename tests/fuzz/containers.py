"""Decode mutated, cut, extended, spliced and forged files. Each must end in a compgen error or in the right bytes.

    python -m tests.fuzz.containers [--cases N] [--seed S] [FAMILY ...]

For each family of models, it prints how the cases ended. It fails at the first case that ends otherwise, and prints its
number and bytes. It also fails if a case takes over ``SLOWEST`` seconds, or if the process grows by more than
``GROWTH`` MB. The language models are tiny, are made on the spot, and need torch.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import compgen
from compgen.coding import container
from compgen.coding.container import EndFrame, Frame, ModelFrame, SegmentFrame
from compgen.coding.frame_reader import FrameReader
from compgen.coding.writer import Writer
from compgen.errors import CompgenError

FAMILIES = {
    "counts": "backoff:order=1",
    "calibrated": "gzip:rule=calibrated",
    "proposals": "bz2:rule=calibrated",
    "samples": "signal:stride=24,pixel=2,depth=16",
    "one-step": "gzip:rule=one-step",
    "law": "gzip:rule=decoder",
    "ppmd law": "ppmd:rule=decoder,memory=1",
    "mixture": "backoff:order=1+backoff:order=2",
    "whole bytes": "zstd:level=1,rule=calibrated",
    "stored": "uniform",
}
LANGUAGE_MODELS = ("network", "tokens")
SLOWEST = 20.0
GROWTH = 400
_TEXT = b"the cat sat on the mat; " * 50
# Values that may break lengths, counts and letters.
_ODD = [
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"\x01\x00\x00\x00",
    b"M",
    b"C",
    b"T",
    b"S",
    b"E",
    b"c",
    b"s",
    b"t",
    b"e",
]


@contextlib.contextmanager
def spec_of(family: str) -> Iterator[str]:
    """Give the spec of a family's model."""
    if family in FAMILIES:
        yield FAMILIES[family]
        return
    from tests.neural import tiny

    with tempfile.TemporaryDirectory() as place:
        folder = tiny.byte_network(Path(place)) if family == "network" else tiny.make("gpt2", Path(place))
        yield f"llm:{folder}"


def originals(spec: str) -> list[tuple[bytes, bytes]]:
    """Return small (data, file) pairs: one segment, several, several lanes, stored and coded ones mixed, none."""
    noise = random.Random(3).randbytes(60)
    whole = _TEXT
    if spec.startswith("llm"):  # random weights compress only their own samples
        whole = compgen.sample(spec, length=1200, temperature=0.2, allow="printable", seed=1)[0].data
    size = next(n for n in range(100, 600, 20) if spec == "uniform" or compress(whole[:n], spec)[5:6] in b"Mct")
    text, more = whole[:size], whole[: 2 * size]
    pairs = []
    for data, segment, lanes in (
        (text, 1 << 20, 1),
        (more, size, 1),
        (more, 2 * size, 2),
        (text + noise, size, 1),
        (b"", 9, 1),
    ):
        out = io.BytesIO()
        with Writer(out, spec, segment_size=segment, lanes=lanes, verify=False) as writer:
            writer.write(data)
        pairs.append((data, out.getvalue()))
    return pairs


def compress(data: bytes, spec: str) -> bytes:
    """Return ``data`` as a .cgn file."""
    return compgen.compress(data, spec, verify=False)


def mutate(generator: random.Random, blob: bytes, others: list[bytes]) -> bytes:
    """Return ``blob`` with a change of one of eight kinds."""
    way = generator.randrange(8)
    place = generator.randrange(len(blob))
    if way == 0:
        return blob[:place]
    if way == 1:
        return blob + generator.randbytes(generator.randrange(1, 40))
    if way == 2:
        changed = bytearray(blob)
        for _ in range(generator.choice([1, 1, 1, 2, 5, 20])):
            changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
        return bytes(changed)
    if way == 3:
        odd = generator.choice(_ODD)
        return blob[:place] + odd + blob[place + len(odd) :]
    if way == 4:
        other = generator.choice(others)
        return blob[:place] + other[generator.randrange(len(other)) :]
    if way == 5:
        end = generator.randrange(place, len(blob))
        return blob[:place] + blob[end:]
    if way == 6:
        end = min(len(blob), place + generator.randrange(1, 60))
        return blob[:end] + blob[place:]
    return forge(generator, blob)


def frames(blob: bytes) -> list[Frame]:
    """Return the frames of a .cgn file."""
    reader = FrameReader(io.BytesIO(blob))
    found: list[Frame] = []
    while not found or not isinstance(found[-1], EndFrame):
        found.append(reader.read())
    return found


def forge(generator: random.Random, blob: bytes) -> bytes:
    """Return ``blob`` with one frame changed, and with the checksum of a changed model frame made right again."""
    found = frames(blob)
    if blob[5:6] in b"cste":
        return _forge_short(generator, blob)
    out = container.MAGIC + bytes([container.VERSION])
    target = generator.randrange(len(found))
    for number, frame in enumerate(found):
        body = bytearray(frame.pack())
        letter = b"M" if isinstance(frame, ModelFrame) else b"E"
        if isinstance(frame, SegmentFrame):
            letter = b"T" if frame.tokens else b"C" if frame.coded else b"S"
        if number == target and len(body) > 4:
            place = generator.randrange(len(body))
            body[place : place + 1] = generator.choice(
                [bytes([body[place] ^ (1 << generator.randrange(8))]), b"", b"\xff"]
            )
            if isinstance(frame, ModelFrame):
                body[-4:] = hashlib.blake2b(bytes(body[:-4]), digest_size=4).digest()
        out += letter + bytes(body)
    return out


def _forge_short(generator: random.Random, blob: bytes) -> bytes:
    """Return a short container with a byte changed, and with the checksum of its model made right again."""
    head, rest = blob[:6], bytearray(blob[6:])
    place = generator.randrange(len(rest) or 1)
    rest[place : place + 1] = generator.choice([generator.randbytes(1), b"", b"\xff", b"\x80\x80\x80\x80"])
    if blob[5:6] in b"ct" and rest:
        end = 1 + rest[0] + 4  # the size of the spec, the spec, the fingerprint
        rest[end : end + 2] = hashlib.blake2b(bytes(rest[:end]), digest_size=2).digest()
    return head + bytes(rest)


def run(family: str, cases: int, seed: int) -> Counter[str]:
    """Return how the cases of one family ended."""
    with spec_of(family) as spec:
        return _run(family, spec, cases, seed)


def _run(family: str, spec: str, cases: int, seed: int) -> Counter[str]:
    pairs = originals(spec)
    given = spec if family in LANGUAGE_MODELS else None
    blobs = [blob for _, blob in pairs]
    outcomes: Counter[str] = Counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in range(cases):
        generator = random.Random(f"{family} {seed} {case}")
        data, blob = generator.choice(pairs)
        hostile = mutate(generator, blob, blobs)
        begin = time.perf_counter()
        try:
            back = compgen.decompress(hostile, given)
        except CompgenError as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"{family}, case {case}: {error!r} from {hostile.hex()}") from error
        else:
            right = {bytes(d) for d, _ in pairs}
            assert back == data or back in right, f"{family}, case {case}: wrong bytes from {hostile.hex()}"
            outcomes["right bytes"] += 1
        seconds = time.perf_counter() - begin
        assert seconds < SLOWEST, f"{family}, case {case}: {seconds:.1f} s for {hostile.hex()}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) // 1024
    assert grown < GROWTH, f"{family}: the process grew by {grown} MB"
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=[*FAMILIES, *LANGUAGE_MODELS])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for family in arguments.families:
        begin = time.perf_counter()
        outcomes = run(family, arguments.cases, arguments.seed)
        print(f"{family}: {arguments.cases} cases in {time.perf_counter() - begin:.0f} s: {dict(outcomes)}", flush=True)


if __name__ == "__main__":
    main()

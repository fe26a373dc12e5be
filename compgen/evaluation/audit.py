"""An audit of a model on a text: whether it is a distribution, and its score the length of a code that decodes.

Rates that no file reaches come from probabilities that do not sum to one, from a model that knows the byte it prices,
or from a score that is computed beside the coder. The audit finds all three. It cuts the text into segments, and for
each of them

1. asks the model for its 256 frequencies *before* each byte, and checks that each is at least 1 and that they sum to
   2**24. From these, and nothing else, it writes the segment's code;
2. scores the segment as ``cgn score`` does, and compares the score with the length of the code;
3. decodes the code in a fresh process, which gets the model as it was before the audit, the code and the number of
   bytes, and never the text.

What an audit cannot tell is a model that was built from the text, or trained on it. The certificate therefore says how
many bytes the model itself takes. Nor does it shut the decoder's process off from the machine: a model that reads the
text from a file, or a program behind ``command:`` that does, is not found out.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import importlib.metadata
import json
import pickle
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from compgen.arguments import as_bytes
from compgen.coding import rans
from compgen.coding.ordered_pool import OrderedPool
from compgen.compressors.base import Compressor
from compgen.errors import CompgenError, UsageError
from compgen.evaluation.score import score
from compgen.models import load
from compgen.models.base import ALPHABET, PRECISION, ByteModel, State
from compgen.registry import Spec

SEGMENT = 1 << 20
"""Bytes that are audited at a time, each segment from a fresh start, as in a file (docs/format.md)."""
TOLERANCE = 0.0005
"""How far a score may be from the length of its code, relative to the score: what 24 bits of precision cost at most."""
SLACK = 64
"""Bits by which they may differ besides: 8 bytes, the entropy coder's last state."""


@dataclass(frozen=True)
class Certificate:
    """The result of an audit. ``json`` is its machine-readable form.

    Attributes:
        model: spec of the model, with its rule named.
        versions: what the model depends on besides compgen: libraries with versions, weights.
        reproducible: whether its frequencies are the same on every machine.
        parameters: its trained weights.
        shipped_bytes: bytes of those weights on disk.
        object_bytes: bytes of the model object as the decoder got it: its options, and whatever else it carries.
        text_bytes: bytes of the text that were audited; on failure, those before the segment that failed.
        text_sha256: SHA-256 of those bytes, in hexadecimal.
        segments: number of segments.
        positions: positions at which all 256 frequencies were checked.
        least_frequency: the smallest frequency found, in units of 2**-24.
        score_bits: the score: the sum of -log2 p, bits.
        code_bits: length of the code, bits.
        allowed_bits: how far the two may differ: 0.05% of each segment's score and 8 bytes.
        decoded_bytes: bytes that a fresh process decoded and that equal the text.
        failure: what is wrong, in a sentence; empty if nothing is.
        compgen: version of compgen.
        python: version of Python, and the machine's type.
    """

    model: str
    versions: str
    reproducible: bool
    parameters: int
    shipped_bytes: int
    object_bytes: int
    text_bytes: int = 0
    text_sha256: str = hashlib.sha256().hexdigest()
    segments: int = 0
    positions: int = 0
    least_frequency: int = 1 << PRECISION
    score_bits: float = 0.0
    code_bits: int = 0
    allowed_bits: float = 0.0
    decoded_bytes: int = 0
    failure: str = ""
    compgen: str = dataclasses.field(default_factory=lambda: importlib.metadata.version("compgen"))
    python: str = f"{platform.python_version()} {platform.machine()}"

    @property
    def passed(self) -> bool:
        """Whether every check held."""
        return not self.failure

    def json(self) -> str:
        """Return the certificate as a JSON object; ``certificate`` names the format and its version."""
        head = {"certificate": "compgen audit 1", "passed": self.passed, "frequencies_sum_to": 1 << PRECISION}
        return json.dumps(head | dataclasses.asdict(self), indent=2)


class _AuditError(Exception):
    """A check that does not hold."""


def audit(
    model: str | Spec | Compressor | ByteModel,
    text: bytes | str | BinaryIO | Iterable[bytes],
    *,
    segment: int = SEGMENT,
    watch: Callable[[int], None] = lambda checked: None,
) -> Certificate:
    """Check that ``model`` is a normalised distribution over ``text``, and return the certificate, passed or failed.

    Args:
        model: a spec, a compressor, or a model. It is pickled for the decoder's process.
        text: the bytes; text as UTF-8; a file open for reading bytes; or blocks of bytes. It holds a few
            segments at a time.
        segment: bytes audited at a time.
        watch: called with the number of bytes checked so far.

    Raises:
        UsageError: the text is empty, or the model cannot be sent to another process.
    """
    built = load(model).resolved()
    try:
        untouched = copy.deepcopy(built)  # what the model learns while it is audited must not reach the decoder
        size = len(pickle.dumps(untouched))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the model '{built}' cannot be sent to a process that decodes ({error}); define its class in a module"
        ) from None
    known = (str(built), built.versions, built.reproducible, built.parameters, built.shipped, size)
    found = Certificate(*known)
    digest = hashlib.sha256()
    with OrderedPool(2) as pool:
        try:
            for data in _segments(text, segment):
                found, code = _checked(built, data, found, watch)
                for expected, decoded in pool.run(data, _decoded, untouched, code, len(data)):
                    found = _came_back(found, expected, decoded)
                digest.update(data)
                found = dataclasses.replace(
                    found, text_bytes=found.text_bytes + len(data), text_sha256=digest.hexdigest()
                )
            for expected, decoded in pool.rest():
                found = _came_back(found, expected, decoded)
        except _AuditError as failure:
            return dataclasses.replace(found, failure=str(failure))
    if not found.segments:
        raise UsageError("there is nothing to audit; give at least one byte")
    return found


def _segments(text: bytes | str | BinaryIO | Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield ``text`` in segments of ``size`` bytes; the last may be shorter."""
    if isinstance(text, str | bytes | bytearray | memoryview):
        data = as_bytes(text, "text")
        yield from (data[begin : begin + size] for begin in range(0, len(data), size))
        return
    blocks = text if not hasattr(text, "read") else iter(lambda: text.read(size), b"")
    kept = b""
    for block in blocks:
        kept += as_bytes(block, "text")
        while len(kept) >= size:
            yield kept[:size]
            kept = kept[size:]
    if kept:
        yield kept


def _checked(
    model: ByteModel, data: bytes, before: Certificate, watch: Callable[[int], None]
) -> tuple[Certificate, bytes]:
    """Check the frequencies and the score of one segment; return the certificate with it, and the segment's code.

    Raises:
        _AuditError: a check does not hold.
    """
    state = model.start([b""])
    low, width = np.empty((2, len(data), 1), dtype=np.uint32)
    least = before.least_frequency
    for place, byte in enumerate(data):
        frequencies = _frequencies(state, before.text_bytes + place)
        least = min(least, int(frequencies.min()))
        low[place], width[place] = frequencies[:byte].sum(), frequencies[byte]
        state.extend(np.array([byte], dtype=np.uint8))
        watch(before.text_bytes + place + 1)
    code = rans.encode(low, width, PRECISION, [rans.LEAST])
    bits = float(score(model, data).surprisals.sum())
    allowed = TOLERANCE * bits + SLACK
    if not abs(bits - 8 * len(code)) <= allowed:  # not a number is refused, too
        raise _AuditError(
            f"the score of the segment at byte {before.text_bytes} is {bits:,.1f} bits, and the code by the "
            f"frequencies that were given before each byte has {8 * len(code):,}; they may differ by {allowed:,.1f}"
        )
    return dataclasses.replace(
        before,
        segments=before.segments + 1,
        positions=before.positions + len(data),
        least_frequency=least,
        score_bits=before.score_bits + bits,
        code_bits=before.code_bits + 8 * len(code),
        allowed_bits=before.allowed_bits + allowed,
    ), code


def _frequencies(state: State, place: int) -> NDArray[np.int64]:
    """Return a copy of the 256 frequencies of the byte at ``place``.

    Raises:
        _AuditError: they are no distribution.
    """
    found = np.array(state.frequencies())
    if found.shape != (1, ALPHABET) or found.dtype.kind not in "iu":
        raise _AuditError(f"before byte {place} frequencies must be (1, 256) integers, not {found.dtype}{found.shape}")
    row: NDArray[np.int64] = found[0].astype(np.int64)
    if (row < 1).any():
        worst = int(row.argmin())
        raise _AuditError(f"before byte {place} the frequency of the byte 0x{worst:02x} is {row[worst]}, less than 1")
    if row.sum() != 1 << PRECISION:
        raise _AuditError(f"before byte {place} the 256 frequencies sum to {row.sum():,}, not to 2**{PRECISION}")
    if not np.allclose(state.log2_probs()[0], np.log2(row) - PRECISION, rtol=0, atol=1e-9):
        raise _AuditError(f"before byte {place} log2_probs are not those of the frequencies")
    return row


def _decoded(model: ByteModel, code: bytes, length: int) -> bytes | str:
    """Return the bytes that ``code`` holds, or why it cannot be decoded. This runs in a process of its own."""
    found = bytearray()
    try:
        state, decoder = model.start([b""]), rans.Decoder(code, 1, PRECISION)
        for _ in range(length):
            symbols, low, width = state.locate(decoder.points())
            decoder.advance(low, width)
            found += symbols.tobytes()
            state.extend(symbols)
    except CompgenError as error:
        return str(error)
    return bytes(found)


def _came_back(found: Certificate, expected: bytes, decoded: bytes | str) -> Certificate:
    """Return the certificate with the bytes of a decoded segment.

    Raises:
        _AuditError: they are not those of the text.
    """
    if decoded != expected:
        reason = decoded if isinstance(decoded, str) else "it gives other bytes"
        raise _AuditError(f"the code does not decode in a fresh process from byte {found.decoded_bytes} on: {reason}")
    return dataclasses.replace(found, decoded_bytes=found.decoded_bytes + len(expected))

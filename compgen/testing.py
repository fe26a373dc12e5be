"""Conformance suites for compressors, models, samplers and media, and an audit of a model. Run them on your own.

Each check raises AssertionError, and the message says what was expected and what came. The suites are deterministic and
need no test framework. They take seconds on a fast compressor::

    from compgen.testing import check_compressor
    check_compressor(MyCompressor(level=3))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

import numpy as np

from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor, Meter
from compgen.errors import CompgenError, UsageError
from compgen.evaluation.audit import Certificate, audit
from compgen.media.base import Medium
from compgen.models.backoff import Backoff
from compgen.models.base import ALPHABET, PRECISION, ByteModel, State
from compgen.registry import Spec
from compgen.sampling.base import Request, Sampler
from compgen.types import Frequencies

_RANDOM = np.random.default_rng(2309_10668)  # seeded with the paper's number on arXiv
_TEXT = b"She sells sea shells by the sea shore; the shells she sells are sea shells, she is sure. "
_INPUTS = {
    "no bytes": b"",
    "one byte": b"a",
    "every byte": bytes(range(256)),
    "zeros": bytes(3000),
    "text": _TEXT * 20,
    "random bytes": _RANDOM.bytes(2000),
    "text and random bytes": _TEXT * 3 + _RANDOM.bytes(300) + _TEXT,
}
_CONTINUATIONS = (b"", b"s", b"\x00", b"\xff", b"shells", _TEXT, _RANDOM.bytes(40))


def check_compressor(compressor: Compressor) -> None:
    """Check the laws of a compressor and of its meters: round trips, damage, code lengths, forks."""
    if compressor.name in COMPRESSORS:
        rebuilt = COMPRESSORS.build(str(compressor))
        assert rebuilt == compressor, f"str() must round-trip, but '{compressor}' builds {rebuilt!r}"
    for label, data in _INPUTS.items():
        _check_round_trip(compressor, label, data)
        _check_damage(compressor, label, compressor.compress(data))
    for label, context in _INPUTS.items():
        _check_lengths(compressor, label, context)
        _check_meter(compressor, label, context)


def _check_round_trip(compressor: Compressor, label: str, data: bytes) -> None:
    blob = compressor.compress(data)
    assert compressor.compress(data) == blob, f"compress must give equal bytes for equal data ({label})"
    assert compressor.decompress(blob) == data, f"decompress must undo compress ({label})"
    length = compressor.code_length(data)
    spare = 8 * len(blob) - length
    assert 0 <= spare < 8 + compressor.overhead, (
        f"code_length must be the bits of compress to within the last byte and the overhead of "
        f"{compressor.overhead} bits; it says {length} where compress writes {8 * len(blob)} ({label})"
    )


def _check_damage(compressor: Compressor, label: str, blob: bytes) -> None:
    for damage, damaged in (
        ("cut short", blob[: len(blob) // 2]),
        ("empty", b""),
        ("changed", bytes(b ^ 0x55 for b in blob)),
    ):
        try:
            compressor.decompress(damaged)
        except CompgenError:
            continue
        except Exception as error:
            raise AssertionError(
                f"a blob that is {damage} ({label}) must raise a CompgenError, not {error!r}"
            ) from error


def _check_lengths(compressor: Compressor, label: str, context: bytes) -> None:
    lengths = compressor.code_lengths(context, _CONTINUATIONS)
    assert lengths.shape == (len(_CONTINUATIONS),), f"code_lengths must be (n,), not {lengths.shape} ({label})"
    assert lengths.dtype == np.float64, f"code_lengths must be float64, not {lengths.dtype} ({label})"
    assert np.isfinite(lengths).all(), f"code_lengths must be finite ({label})"
    assert (lengths >= 0).all(), f"code_lengths must not be negative ({label})"
    if compressor.resolution:
        whole = lengths / compressor.resolution
        assert (whole == np.rint(whole)).all(), f"code_lengths must be multiples of the resolution ({label})"
    if not compressor.conditional or not context:
        alone = [compressor.code_length(context + y) for y in _CONTINUATIONS]
        _check_equal(lengths, alone, f"code_lengths must equal code_length of context + continuation ({label})")


def _check_meter(compressor: Compressor, label: str, context: bytes) -> None:
    expected = compressor.code_lengths(context, _CONTINUATIONS)

    def check(meter: Meter, what: str) -> None:
        _check_equal(meter.code_lengths(_CONTINUATIONS), expected, f"{what} must give the code lengths ({label})")

    meter = compressor.open(context)
    check(meter, "a meter opened on the context")
    check(meter, "a meter asked twice")
    grown = compressor.open(context[: len(context) // 3])
    for byte in context[len(context) // 3 : len(context) // 3 + 9]:
        grown.extend(bytes([byte]))
    grown.extend(context[len(context) // 3 + 9 :])
    check(grown, "a meter extended to the context")
    fork = meter.fork()
    check(fork, "a fork")
    fork.extend(b"something else")
    check(meter, "a meter whose fork was extended")
    other = meter.fork()
    meter.extend(b"something else")
    check(other, "a fork whose meter was extended")
    _check_equal(
        fork.code_lengths(_CONTINUATIONS),
        meter.code_lengths(_CONTINUATIONS),
        f"equal contexts, equal lengths ({label})",
    )
    opened = compressor.open(context)
    flushed = opened.flushed()
    check(opened, "a meter that was flushed into a fork")
    if flushed is not None:
        once = flushed.code_lengths(_CONTINUATIONS)
        _check_equal(
            flushed.code_lengths(_CONTINUATIONS), once, f"a flushed meter asked twice must not change ({label})"
        )
        assert np.isfinite(once).all(), f"flushed lengths must be finite ({label})"
        copy = flushed.fork()
        copy.extend(b"something else")
        _check_equal(flushed.code_lengths(_CONTINUATIONS), once, f"forks of a flushed meter must be apart ({label})")


def _check_alike(got: Frequencies, expected: Frequencies, message: str, exact: bool) -> None:
    """Check that frequencies are equal, or if floats decide and ``exact`` is False, that they are nearly equal."""
    if exact:
        _check_equal(got, expected, message)
    else:
        assert np.allclose(got, expected, rtol=1e-3, atol=64), f"{message}: {got} is not about {expected}"


def _check_equal(got: object, expected: object, message: str) -> None:
    assert np.array_equal(np.asarray(got), np.asarray(expected)), f"{message}: {got} is not {expected}"


def check_model(model: ByteModel) -> None:
    """Check the laws of a model's states: distributions, batches, growth, forks, intervals."""
    prompts = [b"", b"a", _TEXT, _TEXT * 4, bytes(range(256))]
    batch = model.start(prompts)
    assert batch.rows == len(prompts), f"start must give a row for each prompt: {len(prompts)}, not {batch.rows}"
    _check_distribution(batch)
    for row, prompt in enumerate(prompts):
        _check_alike(
            model.start([prompt]).frequencies()[0],
            batch.frequencies()[row],
            "a row must not depend on the other rows",
            model.reproducible,
        )
    for appended in (b"s", b"she\x00"):
        for symbol in appended:
            batch.extend(np.full(batch.rows, symbol, dtype=np.uint8))
        _check_distribution(batch)
        prompts = [prompt + appended for prompt in prompts]
        # A model that learns has learnt the same from these bytes only if a fresh start learns from all of them.
        alike = [row for row, prompt in enumerate(prompts) if model.warm_up is None or len(prompt) <= model.warm_up]
        _check_alike(
            model.start(prompts).frequencies()[alike],
            batch.frequencies()[alike],
            "extending must give what a fresh start on the same bytes gives",
            model.reproducible,
        )
    batch.extend(np.array(list(b"she!\x00"), dtype=np.uint8))  # other bytes, so that the rows differ
    _check_fork(batch, model.reproducible)
    _check_intervals(batch)


def check_normalised(
    model: str | Spec | Compressor | ByteModel, text: bytes | str | BinaryIO | Iterable[bytes]
) -> Certificate:
    """Check that a model's rate on ``text`` is one that a file has, and return the certificate.

    Before each byte its frequencies are at least 1 and sum to 2**24; the score is the code's length to 0.05% and 8
    bytes; and a fresh process, which never sees the text, decodes the code to it. ``text`` may be bytes, a file open
    for reading bytes, or blocks of bytes. ``compgen/evaluation/audit.py`` says how it is done.
    The decoder's process imports the caller's module, so a script calls this under ``if __name__ == "__main__":``.

    Raises:
        UsageError: the text is empty, or the model cannot be sent to another process.
    """
    found = audit(model, text)
    assert found.passed, found.failure
    return found


def _check_distribution(state: State) -> None:
    frequencies = state.frequencies()
    assert frequencies.shape == (state.rows, ALPHABET), f"frequencies must be (B, 256), not {frequencies.shape}"
    assert frequencies.dtype == np.int64, f"frequencies must be int64, not {frequencies.dtype}"
    assert (frequencies >= 1).all(), "no frequency may be zero"
    sums = frequencies.sum(axis=1)
    assert (sums == 1 << PRECISION).all(), f"every row must sum to 2**{PRECISION}; the sums are {sums}"
    _check_equal(state.frequencies(), frequencies, "frequencies must be pure: asking twice gives the same")
    expected = np.log2(frequencies / (1 << PRECISION))
    assert np.allclose(state.log2_probs(), expected, rtol=0, atol=1e-9), "log2_probs must be those of the frequencies"


def _check_fork(state: State, exact: bool) -> None:
    before = state.frequencies().copy()
    selection = [3, 1, 3]
    fork = state.fork(selection)
    assert fork.rows == len(selection), f"fork must have a row for each one given: {len(selection)}, not {fork.rows}"
    _check_equal(fork.frequencies(), before[selection], "fork must duplicate, reorder and drop rows as told")
    fork.extend(np.array([1, 2, 3], dtype=np.uint8))
    fork.extend(np.array([7, 7, 7], dtype=np.uint8))
    _check_equal(state.frequencies(), before, "extending a fork must not change its origin")
    again, twin = state.fork(selection), state.fork(range(state.rows))
    state.extend(np.full(state.rows, 65, dtype=np.uint8))
    _check_equal(again.frequencies(), before[selection], "extending a state must not change its forks")
    twin.extend(np.full(state.rows, 65, dtype=np.uint8))
    _check_alike(
        twin.frequencies(), state.frequencies(), "a fork must become what its origin becomes by the same bytes", exact
    )


def _check_intervals(state: State) -> None:
    frequencies = state.frequencies()
    lows = np.zeros(state.rows, dtype=np.int64)
    for symbol in range(ALPHABET):
        symbols = np.full(state.rows, symbol, dtype=np.uint8)
        low, width = state.intervals(symbols)
        _check_equal(low, lows, f"the interval of {symbol} must begin where the one before ends")
        _check_equal(width, frequencies[:, symbol], f"the interval of {symbol} must be as wide as its frequency")
        for point in (low, low + width - 1):
            for found, expected in zip(state.locate(point), (symbols, low, width), strict=True):
                _check_equal(found, expected, f"locate must find {symbol} and its interval at both ends of it")
        lows = low + width
    symbols = frequencies.argmax(axis=1).astype(np.uint8)
    for name, values in (("added_lengths", state.added_lengths(symbols)), ("code_waste", state.code_waste())):
        assert values.shape == (state.rows,), f"{name} must be (B,), not {values.shape}"
        assert np.isfinite(values).all(), f"{name} must be finite"


def check_sampler(sampler: Sampler, model: ByteModel | None = None) -> None:
    """Check the laws of a sampler: lengths, seeds, weights, surprisals, progress.

    ``model`` is a model that the sampler can draw from, if it cannot draw from every model.
    """
    model, prompt = model or Backoff(order=1), _TEXT * 2

    def draw(length: int, samples: int, seed: int, watch: Callable[[int, bytes], None] | None = None) -> list[bytes]:
        request = Request(model, prompt, length, samples, seed, watch=watch or (lambda made, final: None))
        drawn = sampler.draw(request)
        assert 1 <= len(drawn) <= samples, f"{samples} samples were asked for and {len(drawn)} came"
        total = sum(one.weight for one in drawn)
        assert abs(total - 1) < 1e-9, f"weights must sum to 1, not {total}"
        for one in drawn:
            assert len(one.data) == length, f"{length} bytes were asked for and {len(one.data)} came"
            assert one.surprisals.shape == (length,), f"surprisals must be (n,), not {one.surprisals.shape}"
            state = model.start([prompt])
            for symbol, bits in zip(one.data, one.surprisals, strict=True):
                expected = -state.log2_probs()[0, symbol]
                assert abs(bits - expected) < 1e-9, f"a surprisal must be the model's: {expected}, not {bits}"
                state.extend(np.array([symbol], dtype=np.uint8))
        return [one.data for one in drawn]

    steps: list[int] = []
    shown = bytearray()

    def watch(made: int, final: bytes) -> None:
        steps.append(made)
        shown.extend(final)

    first = draw(12, 4, 7, watch)
    assert draw(12, 4, 7) == first, "the same seed must give the same samples"
    assert steps == sorted(steps), f"progress must not go back: {steps}"
    assert steps, "progress must be told"
    assert steps[-1] == 12, f"progress must end at the length asked for, 12, not {steps[-1]}"
    assert first[0].startswith(bytes(shown)), "what a watch is shown as final must be what row 0 begins with"
    assert draw(0, 2, 7)[0] == b"", "no bytes asked for, no bytes given"
    assert len(draw(5, 1, 7)) == 1, "one sample must be possible"


def _writes(medium: Medium, suffix: str) -> bool:
    """Return whether a medium with its options writes files with this suffix."""
    try:
        medium.checked(suffix)
    except UsageError:
        return False
    return True


def check_medium(medium: Medium) -> None:
    """Check the laws of a medium whose width, rate and so on are known: any bytes become an item, and come back."""
    suffixes = [suffix for suffix in medium.suffixes or ("",) if _writes(medium, suffix)]
    assert suffixes, "a medium must write a file of some kind"
    for label, data in _INPUTS.items():
        for suffix in suffixes:
            try:
                item = medium.decode(data, suffix)
            except CompgenError:
                assert not data, f"any bytes must make an item ({label}, {suffix})"
                continue
            assert medium.decode(data, suffix) == item, f"equal bytes must make equal items ({label}, {suffix})"
            if not getattr(medium, "valid", False):
                assert type(medium).recognises(item), f"an item must be recognised ({label}, {suffix})"
                again, fitted = medium.encode(item)
                assert again.startswith(data), f"an item must give its bytes back ({label}, {suffix})"
                assert len(again) - len(data) < max(medium.unit, 1) or not data, (
                    f"an item must be completed to less than one more row or frame ({label}, {suffix})"
                )
                assert fitted.layout == medium.layout, f"an item must have its medium's layout ({label}, {suffix})"
    for label, damaged in (("cut short", medium.decode(_INPUTS["text"])[:30]), ("empty", b"")):
        try:
            medium.encode(damaged)
        except UsageError:
            continue
        except Exception as error:
            raise AssertionError(f"an item that is {label} must raise a UsageError, not {error!r}") from error

"""What a file may cost is bounded before it is spent, and the caller can raise or lower the bounds."""

from __future__ import annotations

import time
from typing import Any

import pytest

import compgen
from compgen.coding.budget import MEMORY, START
from compgen.coding.ordered_pool import OrderedPool
from compgen.compressors import COMPRESSORS
from compgen.errors import LimitError, MissingExtraError, UsageError
from compgen.models import MODELS, ByteModel, load
from tests.fuzz.containers import frames
from tests.fuzz.costs import container

SLOW = [
    "png:width=1048576,channels=4,bits=16,rule=calibrated",
    "png:width=1048576,channels=4,bits=16,rule=decoder",
    "+".join(f"ppmd:memory={memory},order=64,rule=calibrated" for memory in range(1, 17)),
    "+".join(["brotli:quality=11,rule=one-step"] * 3),
    "jpegxl:width=16383,channels=3,rule=one-step",
]
LARGE = [
    "gzip:rule=calibrated",
    "gzip:rule=decoder",
    "+".join(["gzip:rule=decoder"] * 4),
    "ppmd:rule=decoder",
    "png:rule=decoder",
]


@pytest.mark.parametrize("spec", SLOW)
def test_a_model_that_is_slow_to_begin_with_is_refused_at_once(spec: str) -> None:
    """500 bytes once kept a decoder busy for over a minute, with a fingerprint that nothing bounded."""
    for name in ("jpegxl", "ppmd"):
        if spec.startswith(name):
            pytest.importorskip({"jpegxl": "imagecodecs", "ppmd": "pyppmd"}[name])
    begin = time.process_time()
    with pytest.raises(LimitError, match=r"seconds to check.* give --compressor "):
        compgen.decompress(container(spec, lanes=1, length=4))
    assert time.process_time() - begin < 1


def test_the_parts_of_a_joined_file_share_one_bound_of_time(prose: bytes) -> None:
    """120 bytes that name another slow model each kept a decoder busy for seconds each."""
    joined = b"".join(compgen.compress(prose[:300], f"backoff:order={order}") for order in range(9))
    assert compgen.decompress(joined * 20) == prose[:300] * 180, "a model counts once"
    slow = b"".join(container(f"bz2:rule=calibrated,window={n}", 1, 4) for n in range(4000, 4020))
    read: list[str] = []

    def fingerprint_of(model: ByteModel) -> bytes:
        read.append(str(model))
        return bytes(8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compgen.coding.byte_segment.decode", lambda *_: bytes(4))
        patch.setattr("compgen.coding.trust.fingerprint", fingerprint_of)
        with pytest.raises(LimitError, match=r"among others.* joined from one by one"):
            compgen.decompress(slow)
    assert 5 < len(read) < 15


def test_a_law_that_must_be_fitted_counts_before_it_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen members with laws were fitted for twelve seconds before anything was weighed."""
    fits: list[object] = []

    def misfit(law: object) -> float:
        fits.append(law)
        return 1.0

    monkeypatch.setattr("compgen.laws.fitted.misfit", misfit)
    spec = "+".join(f"zstd-dict:level={level},rule=decoder" for level in range(1, 17))
    with pytest.raises(LimitError, match=r"seconds to check.* give --compressor "):
        compgen.decompress(container(spec, lanes=1, length=4))
    assert 3 < len(set(fits)) < 9
    assert load("zstd-dict:rule=decoder").start_time > 2 * load("gzip:rule=decoder").start_time


@pytest.mark.parametrize("spec", LARGE)
def test_lanes_that_take_great_memory_start_no_row(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """33 KB with right checksums and 4,096 lanes once took 2.5 to 9 GB."""
    if "ppmd" in spec:
        pytest.importorskip("pyppmd")
    blob = container(spec, lanes=4096, length=1 << 24, right=True)
    assert len(blob) < 34_000
    started: list[int] = []
    monkeypatch.setattr("compgen.coding.independent_segment.decode", lambda *_: started.append(1))
    with pytest.raises(LimitError, match=r"4,096 lanes .* give --memlimit [0-9]+MiB"):
        compgen.decompress(blob)
    assert not started


def test_the_shipped_network_is_bounded_and_a_given_one_too() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    blob = container("llm", lanes=4096, length=1 << 24, right=True)
    for given in (None, "llm"):
        with pytest.raises(LimitError, match="--memlimit"):
            compgen.decompress(blob, given)


def test_the_limit_of_memory_is_the_callers_choice(prose: bytes) -> None:
    blob = compgen.compress(prose[:1500], "gzip:rule=decoder", lanes=3)
    with pytest.raises(LimitError, match="more than the 1 MiB allowed") as refused:
        compgen.decompress(blob, memlimit=1 << 20)
    needed = int(str(refused.value).rpartition("--memlimit ")[2].removesuffix("MiB"))
    assert compgen.decompress(blob, memlimit=needed << 20) == prose[:1500]
    assert compgen.decompress(blob, memlimit=needed << 21, jobs=2) == prose[:1500]


def test_a_window_counts_by_what_is_read_of_it(prose: bytes) -> None:
    """A large window costs nothing in a short file."""
    blob = compgen.compress(prose[:1500], "gzip:rule=decoder,window=1048576")
    assert "window=1048576" in frames(blob)[0].spec  # type: ignore[union-attr]
    assert compgen.decompress(blob) == prose[:1500]
    assert load("gzip:rule=decoder,window=8388608").memory(1, 1 << 24) > MEMORY


def test_the_size_of_the_output_is_the_callers_choice(prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 bytes may stand for a mebibyte, and nobody could say how much was welcome."""
    blob = compgen.compress(prose[:900], "backoff")
    assert compgen.decompress(blob, max_size=900) == prose[:900]
    assert compgen.decompress(blob * 2, max_size=1800) == prose[:900] * 2
    with pytest.raises(LimitError, match=r"at least 1,800 bytes, and at most 1,799 are accepted.*--max-size 1800"):
        compgen.decompress(blob * 2, max_size=1799)
    stored = compgen.compress(bytes(range(256)), "uniform")
    monkeypatch.setattr("compgen.coding.byte_segment.decode", lambda *_: pytest.fail("nothing is decoded for it"))
    for whole in (blob, stored):
        with pytest.raises(LimitError, match="--max-size"):
            compgen.decompress(whole, max_size=100)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (0, " of bytes, 1 or more, not 0"),
        (-1, " of bytes, 1 or more, not -1"),
        (2.5, ", not 2.5"),
        ("many", ", not 'many'"),
    ],
)
def test_limits_out_of_range_are_named(wrong: Any, said: str) -> None:
    blob = compgen.compress(b"abc")
    for name in ("max_size", "memlimit"):
        with pytest.raises(UsageError, match=f"^{name} must be a whole number{said}"):
            compgen.decompress(blob, **{name: wrong})


def test_every_model_decodes_at_its_defaults_what_it_writes() -> None:
    """Under each rule, and after as much data as its window or its counts can hold."""
    names = [name for name in (*COMPRESSORS.names(), *MODELS.names()) if name not in ("mixture", "model", "command")]
    weighed = 0
    for name in names:
        for rule in ("calibrated", "decoder", "one-step"):
            try:
                model = load(name).resolved(rule)
                model.memory(1, 1)
            except MissingExtraError:
                continue
            except UsageError:  # bz2 and others have no law
                continue
            weighed += 1
            assert model.start_time < START, (name, rule)
            assert model.memory(1, 1 << 24) < MEMORY, (name, rule)
    assert weighed > 20


def test_processes_share_the_memory_and_take_turns_where_it_does_not_suffice(prose: bytes) -> None:
    """Eight jobs were refused for a file that compress writes by default, of two segments or more."""
    blob = compgen.compress(prose[:12000], "backoff", jobs=2)
    read = compgen.decompress(blob, memlimit=16 << 20, jobs=64)
    assert read == prose[:12000]
    parts: list[tuple[str, str]] = []
    with OrderedPool(2) as pool:
        for name, share in (("a", 0.4), ("b", 0.5), ("c", 0.2), ("d", 1.0), ("e", 0.0), ("f", 0.1)):
            began = f"<{name}"
            for done, _ in pool.run(name, str, name, share=share):
                parts.append((began, done))
        rest = [done for done, _ in pool.rest()]
    assert parts == [("<c", "a"), ("<d", "b"), ("<d", "c"), ("<f", "d")]
    assert rest == ["e", "f"]

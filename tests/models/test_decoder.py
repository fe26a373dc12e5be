"""The decoder's rule: which models follow it by default, and that its states conform."""

from __future__ import annotations

import numpy as np
import pytest

import compgen
from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError
from compgen.models import CodeLengthModel, load
from compgen.testing import check_model

CONFORMING = [
    "gzip",
    "zlib:window=300",
    "deflate:window=20",
    "ppmd:memory=1",
    "png:width=5,window=40",
    "png:width=1100",
    "xz",
    "zstd",
    "zstd-dict",
    "null",
    "command:gzip -c",
    'model:"backoff:order=1"',
    'model:"gzip:rule=calibrated"',
    "gzip+ppmd:memory=1",
    "flac:bits=16,window=301",
    "flac:channels=2",
]


@pytest.mark.parametrize("spec", CONFORMING)
def test_conforms(spec: str) -> None:
    for name, module in (("ppmd", "pyppmd"), ("flac", "soundfile")):
        if name in spec:
            pytest.importorskip(module)
    check_model(load(spec, rule="decoder"))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("gzip", "gzip:rule=decoder"),
        ("zlib:level=6", "zlib:level=6,rule=decoder"),
        ("deflate", "deflate:rule=decoder"),
        ("ppmd", "ppmd:rule=decoder"),
        ("xz", "xz:rule=decoder"),
        ("zstd", "zstd:rule=decoder"),
        ("zstd-dict", "zstd-dict:rule=decoder"),
        ("brotli", "brotli:rule=decoder"),
        ("null", "null:rule=decoder"),
        ("command:gzip -9 -n", "command:rule=decoder gzip -9 -n"),
        ("command:bzip2", "command:rule=calibrated bzip2"),
        ("model:uniform", "model:uniform,rule=decoder"),
        ("bz2", "bz2:rule=calibrated"),
        ("png", "png:rule=decoder"),
        ("png:width=7,rule=calibrated", "png:width=7,rule=calibrated"),
        ("flac", "flac:rule=decoder"),
        ("gzip:window=50", "gzip:rule=decoder,window=50"),
        ("bz2:stride=8", "bz2:rule=calibrated,stride=8"),
        ("bz2:pixel=1", "bz2:rule=calibrated,pixel=1"),
        ("bz2:effort=best", "bz2:rule=calibrated,effort=best"),
        ("gzip:rule=one-step", "gzip:rule=one-step"),
        ("backoff", "backoff"),
        ("gzip+bz2+backoff:order=1", "gzip:rule=decoder+bz2:rule=calibrated+backoff:order=1"),
    ],
)
def test_the_default_rule(spec: str, named: str) -> None:
    if spec.startswith(("ppmd", "flac")):
        pytest.importorskip({"ppmd": "pyppmd", "flac": "soundfile"}[spec[:4]])
    assert str(load(spec).resolved()) == named
    assert load(named).resolved() == load(named) == load(spec).resolved()


def test_a_rule_that_is_asked_for_is_for_those_that_name_none() -> None:
    assert str(load("gzip:rule=one-step+xz+bz2").resolved("calibrated")) == (
        "gzip:rule=one-step+xz:rule=calibrated+bz2:rule=calibrated"
    )


@pytest.mark.parametrize("spec", ["bz2", "command:bzip2", "model:uniform+bz2"])
def test_what_has_no_law_says_so(spec: str) -> None:
    with pytest.raises(UsageError, match="--rule calibrated") as caught:
        load(spec, rule="decoder")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["stride=8", "pixel=1", "effort=best"])
def test_options_of_proposals_are_refused(option: str) -> None:
    with pytest.raises(UsageError, match="for"):
        load(f"gzip:rule=decoder,{option}")


def test_known_bytes_read_at_once_are_those_read_one_by_one(prose: bytes) -> None:
    """Over windows that fill and start again, and none at all."""
    for spec in ("gzip:window=90", "png:width=9,window=99", "ppmd:memory=1,window=90", "null:window=90"):
        model = load(spec, rule="decoder")
        data = np.frombuffer(prose[:500], dtype=np.uint8).reshape(250, 2)
        state, slow = model.start([prose[500:560], b""]), model.start([prose[500:560], b""])
        low, width = state.consume(data)
        for step, symbols in enumerate(data):
            expected = slow.intervals(symbols)
            assert np.array_equal(low[step], expected[0])
            assert np.array_equal(width[step], expected[1])
            slow.extend(symbols)
        assert np.array_equal(state.frequencies(), slow.frequencies())
        none = state.consume(data[:0])
        assert [part.shape for part in none] == [(0, 2), (0, 2)]


def test_a_models_law_is_the_model(prose: bytes) -> None:
    ours, theirs = load('model:"backoff:order=3"').start([prose]), load("backoff:order=3").start([prose])
    assert np.array_equal(ours.frequencies(), theirs.frequencies())


def test_null_knows_nothing(prose: bytes) -> None:
    assert compgen.score("null", prose[600:], prose[:600]).derived_bpb == 8.0


def test_a_match_that_has_begun_is_expected_to_go_on(prose: bytes) -> None:
    """For gzip, which copies, and not for null."""
    context = prose[:2000] + prose[100:108]
    gzip, null = (load(spec).start([context]).frequencies()[0] for spec in ("gzip", "null"))
    assert gzip.argmax() == prose[108]
    assert gzip[prose[108]] > 3 * null[prose[108]]


def test_laws_of_equal_compressors_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ``load`` once measured a compressor anew, for most of a second."""
    brotli = COMPRESSORS.get("brotli")
    load("brotli:quality=4").resolved()

    def measured(*words: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(brotli, "code_lengths", measured)
    assert str(load("brotli:quality=4").resolved()) == "brotli:quality=4,rule=decoder"


def test_the_window_of_a_law_is_the_compressors() -> None:
    model = load("gzip")
    assert isinstance(model, CodeLengthModel)
    assert model.context_window.size == 32768


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("png", 32_768),
        ("png:width=100", 32_700),
        ("png:width=40000", 40_000),
        ("png:width=7,channels=3,window=50", 42),
        ("png:width=9,window=1", 9),
    ],
)
def test_windows_of_pictures_are_whole_rows(spec: str, size: int) -> None:
    model = load(spec)
    assert isinstance(model, CodeLengthModel)
    assert model.context_window.size == size


def test_a_window_that_reopens_does_not_shear_a_picture() -> None:
    """Columns of one gray each; a window that began within a row would expect another column's."""
    row = np.random.default_rng(5).integers(0, 256, 30, dtype=np.uint8)
    data = np.tile(row, 40)
    model = load("png:width=30,window=100")
    bits = compgen.score(model, data[300:].tobytes(), data[:300].tobytes()).derived_bpb
    assert bits < 1


def test_the_law_of_a_model_that_learns_can_be_frozen(prose: bytes) -> None:
    spec = "gzip:rule=calibrated,window=2000"
    law, model = (load(one).start([prose[:500]]) for one in (f'model:"{spec}"', spec))
    twin = law.fork([0])
    law.freeze()
    model.freeze()
    for symbol in b"abc":
        for state in (law, model, twin):
            state.extend(np.array([symbol], dtype=np.uint8))
    assert np.array_equal(law.frequencies(), model.frequencies())
    assert not np.array_equal(law.frequencies(), twin.frequencies())

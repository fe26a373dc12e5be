"""The codec of numcodecs does with any buffer what numcodecs' own codec of zlib does."""

from __future__ import annotations

import array
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compgen.errors import CorruptDataError, IncompatibleError, LimitError

numcodecs = pytest.importorskip("numcodecs")
zlib = numcodecs.get_codec({"id": "zlib"})
ours = numcodecs.get_codec({"id": "compgen", "model": "uniform"})

MASKED = np.ma.masked_array(np.arange(6, dtype="i2"), mask=np.array([0, 1, 0, 1, 0, 0], dtype=bool))
READ_ONLY = np.frombuffer(bytes(48), dtype="i8")
BUFFERS = {
    **{kind: np.arange(7).astype(kind) for kind in ("i1", "u2", ">i4", "i8", "f2", ">f8", "c16", "?", "S3", "U2")},
    "times": np.array(["2001-02-03", "NaT"], dtype="M8[D]"),
    "spans": np.array([3, -4], dtype="m8[ns]"),
    "records": np.zeros(3, dtype=[("a", "i4"), ("b", "u1")]),
    "masked": MASKED,
    "masked columns": np.ma.masked_array(np.arange(6.0).reshape(2, 3, order="F"), mask=True),
    "the masked constant": np.ma.masked,
    "columns": np.arange(6).reshape(2, 3, order="F"),
    "no elements": np.zeros((0, 3)),
    "no dimensions": np.array(5.0),
    "a number": np.float64(2.5),
    "every second": np.arange(12)[::2],
    "backwards": np.arange(12)[::-1],
    "repeated": np.broadcast_to(np.arange(3), (2, 3)),
    "objects": np.array(["a", 1], dtype=object),
    "read only": READ_ONLY,
    "bytes": b"abc",
    "no bytes": b"",
    "bytearray": bytearray(b"abc"),
    "array": array.array("d", [1, 2]),
    "array of text": array.array("u", "ab"),
    "view": memoryview(b"abcdef").cast("B", (2, 3)),
    "view of every second": memoryview(b"abcdef")[::2],
    "text": "abc",
    "list": [1, 2],
    "nothing": None,
}
TARGETS: dict[str, Callable[[], Any]] = {
    "right": lambda: np.zeros(6, "i8"),
    "too short": lambda: np.zeros(5, "i8"),
    "too long": lambda: np.zeros(12, "i8"),
    "without elements": lambda: np.zeros(0),
    "other type": lambda: np.zeros(12, "f4"),
    "columns": lambda: np.zeros((2, 3), "i8", order="F"),
    "times": lambda: np.zeros(6, "M8[s]"),
    "records": lambda: np.zeros(6, [("a", "i4"), ("b", "i4")]),
    "masked": lambda: np.ma.masked_array(np.zeros(6, "i8"), mask=True, hard_mask=True),
    "every second": lambda: np.zeros(12, "i8")[::2],
    "objects": lambda: np.zeros(6, object),
    "bytearray": lambda: bytearray(48),
    "bytearray too short": lambda: bytearray(47),
    "bytes": lambda: bytes(48),
    "read only": lambda: READ_ONLY,
    "text": lambda: "abc",
}


def outcome(act: Callable[[], Any]) -> Any:
    """What comes of ``act``: an array as its type, shape and bytes, bytes as they are, an error as its kind."""
    try:
        got = act()
    except (TypeError, ValueError) as error:
        return type(error)
    return (got.dtype, got.shape, got.tobytes()) if isinstance(got, np.ndarray) else bytes(got)


@pytest.mark.parametrize("name", BUFFERS)
def test_any_buffer_comes_back_as_from_zlib(name: str) -> None:
    buffer = BUFFERS[name]
    assert outcome(lambda: ours.decode(ours.encode(buffer))) == outcome(lambda: zlib.decode(zlib.encode(buffer)))


def test_masked_elements_keep_their_data() -> None:
    """They came back as fill values: NumPy's tobytes fills them in."""
    assert np.array_equal(np.frombuffer(ours.decode(ours.encode(MASKED)), "i2"), MASKED.data)


@pytest.mark.parametrize("name", TARGETS)
def test_any_target_is_filled_or_refused_as_by_zlib(name: str) -> None:
    data = np.arange(6, dtype="i8")
    targets = TARGETS[name](), TARGETS[name]()
    results = [
        outcome(lambda codec=codec, target=target: codec.decode(codec.encode(data), out=target))  # type: ignore[misc]
        for codec, target in zip((ours, zlib), targets, strict=True)
    ]
    assert results[0] == results[1]
    if isinstance(targets[0], np.ma.MaskedArray):
        targets = targets[0].data, targets[1].data
    assert np.array_equal(*targets)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda blob: np.frombuffer(blob, "u1")])
def test_a_blob_is_any_buffer(wrap: Callable[[bytes], Any]) -> None:
    blob = ours.encode(b"some data")
    assert ours.decode(wrap(blob)) == b"some data"
    assert ours.decode(np.ma.masked_array(np.frombuffer(blob, "u1"), mask=True)) == b"some data"
    with pytest.raises(CorruptDataError):
        ours.decode(wrap(blob[:-3]))


def test_pointers_inside_records_are_refused() -> None:
    """numcodecs' own codecs store them; who reads them back in another process follows wild pointers."""
    records = np.zeros(3, dtype=[("a", "O"), ("b", "i4")])
    with pytest.raises(TypeError, match="pointers to objects"):
        ours.encode(records)
    with pytest.raises(TypeError, match="pointers to objects"):
        ours.decode(ours.encode(bytes(records.nbytes)), out=records)


@pytest.mark.parametrize("model", ["backoff", "gzip", "gzip:rule=decoder", "gzip+backoff:order=1"])
def test_a_codec_is_its_configuration(model: str) -> None:
    codec = numcodecs.get_codec({"id": "compgen", "model": model})
    for copy in (numcodecs.get_codec(json.loads(json.dumps(codec.get_config()))), pickle.loads(pickle.dumps(codec))):  # noqa: S301
        assert copy == codec
        assert copy.encode(b"abcabc") == codec.encode(b"abcabc")
    assert eval(repr(codec), {"CompgenCodec": type(codec)}) == codec  # noqa: S307 - as numcodecs' own tests do
    assert codec != zlib


def test_metadata_choose_no_program(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError):
        numcodecs.get_codec({"id": "compgen", "model": f"command:touch {tmp_path / 'touched'}"})
    assert not any(tmp_path.iterdir())


def test_metadata_choose_no_model_whose_chunks_no_decoder_takes() -> None:
    with pytest.raises(LimitError):
        numcodecs.get_codec({"id": "compgen", "model": "png:width=1048576,channels=4,bits=16"})

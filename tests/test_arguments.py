"""Arguments of the wrong type: every public function refuses them by name, and takes text wherever it takes bytes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compgen
from compgen.cli import run
from compgen.compressors import COMPRESSORS
from compgen.compressors.deflate import Gzip
from compgen.errors import CorruptDataError, UsageError
from compgen.models import MODELS
from compgen.models.uniform import Uniform
from compgen.sampling.ancestral import Ancestral

TEXT = "She sells sea shells by the sea shore. "
MODEL = Uniform()
WRONG = object()
RIGHT: dict[str, dict[str, Any]] = {  # what each public function cannot do without
    "compress": {"data": TEXT},
    "decompress": {"blob": compgen.compress(TEXT, MODEL)},
    "load": {"spec": "uniform"},
    "ncd": {"a": TEXT, "b": TEXT},
    "open": {"path": "no-such.cgn"},
    "register": {"name": "uniform", "cls": Uniform},
    "sample": {"compressor": MODEL, "prompt": TEXT, "length": 1},
    "score": {"compressor": MODEL, "data": TEXT},
}
FUNCTIONS = [name for name in compgen.__all__ if inspect.isfunction(getattr(compgen, name))]
ARGUMENTS = [
    (name, parameter.name)
    for name in FUNCTIONS
    for parameter in inspect.signature(getattr(compgen, name)).parameters.values()
    if parameter.kind is not parameter.VAR_KEYWORD
]


def test_every_public_function_is_here() -> None:
    assert set(FUNCTIONS) == set(RIGHT)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_a_wrong_type_is_refused_by_the_name_of_the_argument(name: str, argument: str) -> None:
    # "cls" is named by what it must be.
    with pytest.raises(UsageError, match=rf"^{argument} must be |is not a subclass of"):
        getattr(compgen, name)(**RIGHT[name] | {argument: WRONG})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: compgen.sample("gzip", TEXT, length=3.5), "length must be a whole number, not 3.5"),  # type: ignore[arg-type]
        (lambda: compgen.sample("gzip", TEXT, length=True), None),
        (lambda: compgen.sample("gzip", TEXT, seed="x"), "seed must be a whole number, not 'x'"),  # type: ignore[arg-type]
        (lambda: compgen.sample("gzip", TEXT, temperature="hot"), "temperature must be a number, not 'hot'"),  # type: ignore[arg-type]
        (lambda: compgen.sample("gzip", [TEXT, 5]), "a prompt must be bytes or text, not 5"),  # type: ignore[list-item]
        (lambda: compgen.compress(None), "data must be bytes or text, not None"),  # type: ignore[arg-type]
        (lambda: compgen.compress(TEXT, "gzip", jobs=2.0), "jobs must be a whole number, not 2.0"),  # type: ignore[arg-type]
        (lambda: compgen.decompress(TEXT), "blob must be bytes, not 'She"),  # type: ignore[arg-type]
        (lambda: compgen.load(None), "spec must be text, a Spec, a Compressor or a ByteModel, not None"),  # type: ignore[arg-type]
        (lambda: compgen.CodeLengthModel("gzip"), "compressor must be a Compressor, not 'gzip'"),  # type: ignore[arg-type]
        (lambda: compgen.ModelCompressor("gzip"), "model must be a ByteModel, not 'gzip'"),  # type: ignore[arg-type]
        (lambda: Gzip("9"), "gzip:level must be a whole number, not '9'"),  # type: ignore[arg-type]
        (lambda: Ancestral(top_k=2.5), "ancestral:top_k must be a whole number, not 2.5"),  # type: ignore[arg-type]
        (lambda: Gzip().compress(None), "data must be bytes or text, not None"),  # type: ignore[arg-type]
        (lambda: Gzip().decompress(TEXT), "blob must be bytes, not 'She"),  # type: ignore[arg-type]
        (lambda: Gzip().code_lengths(b"", "abc"), "continuations must be a list of bytes or text"),  # type: ignore[arg-type]
        (lambda: Gzip().open(b"").extend(3), "data must be bytes or text, not 3"),  # type: ignore[arg-type]
        (lambda: MODEL.start("abc"), "prompts must be a list of bytes or text, one for each row, not 'abc'"),  # type: ignore[arg-type]
        (lambda: MODEL.start([3]), "a prompt must be bytes or text, not 3"),  # type: ignore[list-item]
        (lambda: MODEL.start([b"", b""]).extend("a"), "symbols must be one byte for each row, 2 in all"),  # type: ignore[arg-type]
        (lambda: MODEL.start([b""]).extend([256]), "symbols must be bytes, from 0 to 255"),  # type: ignore[arg-type]
        (lambda: MODEL.start([b""]).extend(np.zeros(1)), "symbols must be one byte for each row, 1 in all"),  # type: ignore[arg-type]
    ],
)
def test_messages(call: Callable[[], object], said: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert (said or "length must be a whole number, not True") in str(caught.value)


@pytest.mark.parametrize(
    "name", [name for name in COMPRESSORS.names(aliases=False) if name not in ("command", "model")]
)
def test_compressors_take_text(name: str) -> None:
    compressor = COMPRESSORS.build(name)
    text, data = "Grüße", "Grüße".encode()
    assert compressor.compress(text) == compressor.compress(data)  # type: ignore[arg-type]
    assert compressor.code_length(text) == compressor.code_length(data)  # type: ignore[arg-type]
    assert compressor.code_lengths(text, [text, b""]).tolist() == compressor.code_lengths(data, [data, b""]).tolist()  # type: ignore[arg-type, list-item]
    meter = compressor.open(text)  # type: ignore[arg-type]
    meter.extend(text)  # type: ignore[arg-type]
    assert meter.code_lengths([b"!"]).tolist() == compressor.code_lengths(2 * data, [b"!"]).tolist()


@pytest.mark.parametrize("spec", ["gzip", "gzip:rule=one-step", "bz2", "gzip+uniform", "backoff", "history", "uniform"])
def test_models_take_text(spec: str) -> None:
    model = compgen.load(spec)
    text, data = model.start([TEXT, "a"]), model.start([TEXT.encode(), b"a"])  # type: ignore[list-item]
    text.extend("ab")  # type: ignore[arg-type]
    data.extend(np.array([97, 98], dtype=np.uint8))
    assert np.array_equal(text.frequencies(), data.frequencies())


def test_text_is_compressed_as_utf8() -> None:
    assert compgen.decompress(compgen.compress("Grüße" * 9)) == ("Grüße" * 9).encode()
    assert compgen.decompress(compgen.compress(bytearray(b"abc"))) == b"abc"  # type: ignore[arg-type]


def test_results_hold_plain_floats() -> None:
    for sampler in ("ancestral", "beam", "smc", "decode"):
        drawn = compgen.sample("gzip", TEXT, length=np.int64(4), samples=np.int64(2), seed=np.int64(1), sampler=sampler)  # type: ignore[arg-type]
        assert type(drawn.seed) is int
        for one in drawn:
            assert {type(x) for x in (one.bits_per_byte, one.log2_prob, one.bits, one.weight)} == {float}
    assert compgen.sample("gzip", TEXT, length=0)[0].bits_per_byte is None
    scored = compgen.score("gzip", TEXT)
    assert {type(x) for x in (scored.own_bpb, scored.derived_bpb, scored.code_waste, scored.seconds)} == {float}
    assert type(compgen.ncd(TEXT, TEXT)) is float


def test_beams_carry_the_log_probabilities_that_they_are_ranked_by(capfd: pytest.CaptureFixture[str]) -> None:
    drawn = compgen.sample("gzip", TEXT, length=3, samples=4, seed=1, sampler="beam", allow="bytes")
    ranks = [one.log2_prob for one in drawn]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks == pytest.approx([-3 * compgen.score("gzip", one.data, TEXT).derived_bpb for one in drawn])
    options = [
        "sample",
        "--text",
        TEXT,
        "--length",
        "3",
        "--samples",
        "4",
        "--seed",
        "1",
        "--allow",
        "bytes",
        "--sampler",
    ]
    assert run([*options, "beam"]) == 0
    assert f"==> sample 1, log2 probability {ranks[0]:.2f} <==" in capfd.readouterr().out
    assert run([*options, "smc"]) == 0
    assert ", weight 0." in capfd.readouterr().out
    assert run([*options, "beam", "--json"]) == 0
    assert [one["log2_prob"] for one in json.loads(capfd.readouterr().out)["samples"]] == ranks


def test_a_negative_own_rate_is_explained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    known = (Path(__file__).parent.parent / "examples/prompts/lighthouse.txt").read_bytes()
    begin = next(i for i in range(500, 600) if Gzip().code_length(known[: i + 1]) < Gzip().code_length(known[:i]))
    scored = compgen.score("gzip", known[begin : begin + 1], known[:begin])
    assert scored.own_bpb is not None
    assert scored.own_bpb < 0
    assert "gzip codes the context with these 1 bytes in fewer bits than without them" in scored.own_note
    assert scored.own_note in scored._repr_html_()
    assert compgen.score("gzip", known[begin:], known[:begin]).own_note == ""
    assert "the own rate is negative" not in compgen.score("uniform", known[:9])._repr_html_()
    (tmp_path / "text").write_bytes(known)
    command = ["score", str(tmp_path / "text"), "--context", str(begin), "--length", "1"]
    assert run(command) == 0
    assert scored.own_note in capfd.readouterr().out
    assert run([*command, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["own_note"] == scored.own_note


def test_errors_about_files_name_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.cgn"
    path.write_bytes(b"no container")
    with pytest.raises(CorruptDataError, match=r"some\.cgn: this is no \.cgn file"):
        compgen.open(path)
    path.write_bytes(compgen.compress(TEXT)[:-3])
    with pytest.raises(CorruptDataError, match=r"some\.cgn: the file is cut short"), compgen.open(path) as file:
        file.read()
    with pytest.raises(FileNotFoundError, match=r"nowhere/x\.cgn"):
        compgen.open(tmp_path / "nowhere/x.cgn", "wb")
    (tmp_path / "empty").touch()
    with pytest.raises(UsageError, match=r"empty': 0 bytes are too few"):
        compgen.sample("uniform", sampler="decode", bits=str(tmp_path / "empty"))
    assert run(["score", str(tmp_path / "empty")]) == 2
    assert "empty' is empty" in capfd.readouterr().err


def test_models_of_a_registry_are_checked_like_built_in_ones() -> None:
    class Mine(Uniform):
        def start(self, prompts: Any) -> Any:
            assert all(type(prompt) is bytes for prompt in prompts)
            return super().start(prompts)

    assert Mine().start(["text"]).rows == 1
    assert Uniform in {MODELS.get("uniform")}

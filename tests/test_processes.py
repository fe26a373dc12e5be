"""Models and states in forked and spawned processes, in threads, pickled and copied: equal frequencies, or no."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import compgen
from compgen.compressors import COMPRESSORS
from compgen.models import ByteModel, State, load

NEEDS = {
    "gzip": "",
    "gzip:rule=one-step": "",
    "gzip:rule=calibrated": "",
    "bz2:effort=best": "",
    "bz2:rule=one-step": "",  # measured by a pool of threads
    "xz": "",
    "zstd-dict": "zstandard",
    "brotli": "brotli",
    "ppmd": "pyppmd",
    "ppmd:rule=one-step": "pyppmd",  # encoded by a child process
    "flac": "soundfile",
    "bz2:stride=30,pixel=3": "",
    "png:width=30": "",
    "gzip+ppmd": "pyppmd",
    "backoff:order=3": "",
    "null": "",
    "uniform": "",
    "command:window=64 cat": "",
    "model:backoff": "",
    "llm": "torch",
    "llm:BYTES": "torch",
    "llm:TOKENS": "torch",
}
"""Kinds of models, and the module that each needs. In capitals: networks that are made here."""
PROMPTS = [b"It was a dark and stormy night; the rain ", b"she sells sea shells"]


@pytest.fixture(scope="module")
def spec_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Replace the capitals in a kind by the folder of a tiny network."""
    made: dict[str, Path] = {}

    def found(kind: str) -> str:
        if NEEDS[kind]:
            pytest.importorskip(NEEDS[kind])
        name = kind.partition(":")[2]
        if not name.isupper():
            return kind
        if name not in made:
            pytest.importorskip("transformers")
            from tests.neural import tiny

            path = tmp_path_factory.mktemp(name)
            made[name] = tiny.byte_network(path) if name == "BYTES" else tiny.make("gpt2", path)
        return f"llm:{made[name]}"

    return found


@pytest.fixture
def model(request: pytest.FixtureRequest, spec_of: Callable[[str], str]) -> ByteModel:
    return load(spec_of(request.param))


each_kind = pytest.mark.parametrize("model", NEEDS, indirect=True)


def grown(model: ByteModel, steps: int = 5) -> State:
    state = model.start(PROMPTS)
    for symbol in b"e the"[:steps]:
        state.frequencies()
        state.extend(np.array([symbol, 32], dtype=np.uint8))
    return state


def used(model: ByteModel) -> NDArray[np.int64]:
    return grown(model).frequencies()


FORK = """
import json, os, signal, sys
import numpy as np
from compgen.models import load
from tests.test_processes import grown, used

found = {}
for spec in sys.argv[1:]:
    model = load(spec)
    state = grown(model)
    expected = state.frequencies()
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that hangs is killed
        same = [np.array_equal(found, expected) for found in (state.fork([0, 1]).frequencies(), used(model))]
        os._exit(0 if all(same) else 1)
    found[spec] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(found))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on_with_models_and_states(spec_of: Callable[[str], str]) -> None:
    specs = []
    for kind in NEEDS:
        try:
            specs.append(spec_of(kind))
        except pytest.skip.Exception:
            continue
    several = {"COMPGEN_THREADS": "2", "OMP_NUM_THREADS": "2"}  # so that there are pools to be lost
    done = subprocess.run(
        [sys.executable, "-c", FORK, *specs],
        capture_output=True,
        check=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **several},
    )
    assert json.loads(done.stdout) == dict.fromkeys(specs, 0)


FORK_AND_END = """
import os, sys, compgen
before = compgen.sample("ppmd:rule=one-step", "abc", length=3, seed=1)[0].data
child = os.fork()
after = compgen.sample("ppmd:rule=one-step", "abc", length=3, seed=1)[0].data
if not child:
    sys.exit(before != after)  # not os._exit: what is registered for the end of the process runs
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert compgen.sample("ppmd:rule=one-step", "abc", length=3, seed=1)[0].data == before == after
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_ends_and_leaves_the_encoder_to_its_parent() -> None:
    pytest.importorskip("pyppmd")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", FORK_AND_END], check=True, timeout=30, env=environment)


def test_a_spawned_process_gets_models(spec_of: Callable[[str], str]) -> None:
    models = []
    for kind in NEEDS.keys() - {"llm:TOKENS"}:  # transformers takes seconds to import
        try:
            models.append(load(spec_of(kind)))
        except pytest.skip.Exception:
            continue
    expected = [used(model) for model in models]  # so that they are pickled after use
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(used, models, timeout=120))
    for model, a, b in zip(models, found, expected, strict=True):
        assert np.array_equal(a, b), model


@each_kind
def test_models_are_pickled_and_copied(model: ByteModel) -> None:
    expected = used(model)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):  # noqa: S301 - our own
        assert twin == model
        assert np.array_equal(used(twin), expected)


@each_kind
def test_states_are_copied_as_by_fork_and_not_pickled(model: ByteModel) -> None:
    state, reference = grown(model), grown(model)
    before = state.frequencies().copy()
    symbols = np.array([7, 8], dtype=np.uint8)
    reference.extend(symbols)
    for twin in (copy.copy(state), copy.deepcopy(state), copy.deepcopy([state])[0]):
        assert np.array_equal(twin.frequencies(), before)
        for step in (symbols, symbols[::-1]):  # what a copy learns wrongly shows a byte later
            twin.extend(step)
        again = reference.fork([0, 1])
        again.extend(symbols[::-1])
        assert np.array_equal(twin.frequencies(), again.frequencies())
        assert np.array_equal(state.frequencies(), before)
    with pytest.raises(TypeError, match="cannot be pickled: pickle what started it"):
        pickle.dumps(state)


@pytest.mark.parametrize("name", ["gzip", "xz", "ppmd", "null", "png", "bz2"])
def test_meters_and_states_of_laws_are_copied_as_by_fork(name: str) -> None:
    if name == "ppmd":
        pytest.importorskip("pyppmd")
    compressor = COMPRESSORS.build(name)
    started: list[Any] = [compressor.open(PROMPTS[0])]
    if compressor.law_kind != "none":
        started.append(compressor.law().start(PROMPTS[0]))
    for one in started:
        ask = one.frequencies if hasattr(one, "frequencies") else lambda one=one: one.code_lengths([b"a", b"b"])
        before = ask().copy()
        for twin in (copy.copy(one), copy.deepcopy(one)):
            assert type(twin) is type(one)
            (twin.append if hasattr(twin, "append") else lambda b, twin=twin: twin.extend(bytes([b])))(7)
            assert np.array_equal(ask(), before)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(one)


def test_states_of_tokens_and_writers_are_neither_copied_nor_pickled(
    spec_of: Callable[[str], str], tmp_path: Path
) -> None:
    state: Any = load(spec_of("llm:TOKENS"))
    with compgen.open(tmp_path / "a.cgn", "wb", "null") as writer:
        for one in (state.start_tokens(1), writer):
            for way in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match=r"copied|pickled"):
                    way(one)
        writer.write(b"whole")
    assert compgen.decompress((tmp_path / "a.cgn").read_bytes()) == b"whole"


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """Return what each of ``count`` threads returns; they begin together."""
    begin, found = threading.Barrier(count), []

    def run() -> None:
        begin.wait()
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@each_kind
def test_threads_share_a_model(model: ByteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPGEN_THREADS", "2")
    expected = used(model)
    for found in in_threads(4, lambda: used(model)):
        assert np.array_equal(found, expected), found


def test_threads_load_a_network_together(spec_of: Callable[[str], str]) -> None:
    spec = spec_of("llm:TOKENS")
    from compgen.neural.tokens.loading import load_pair

    for _ in range(3):
        load_pair.cache_clear()
        first, *others = in_threads(6, lambda: used(load(spec)))
        for found in others:
            assert np.array_equal(found, first), found

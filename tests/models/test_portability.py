"""The same integers everywhere: on every machine, with compiled loops and without."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from compgen.jit import SMALL
from compgen.laws import copies, forward, ppmd_model
from compgen.models import load

CHILD = """
import hashlib, sys
import numpy as np
from compgen.jit import SMALL
from compgen.media.layout import Layout
from compgen.models import ByteModel, load
text = (b"a portable distribution is the same distribution, on every machine; " * 40)[:2300]
digest = hashlib.sha256()
specs = ["gzip:rule=calibrated", "zstd-dict:rule=calibrated", "ppmd:rule=calibrated,memory=1", "gzip:rule=one-step",
         "png:width=30,rule=calibrated", "bz2:effort=best", "gzip+bz2+backoff", "history", "signal:pixel=2",
         "gzip:rule=decoder", "xz:rule=decoder", "ppmd:rule=decoder,memory=1"]
for spec in specs:
    state = load(spec).start([text[:2000]])
    for symbol in text[2000 : 2000 + (60 if "one-step" not in spec else 5)]:
        digest.update(state.frequencies().tobytes())
        state.extend(np.array([symbol], dtype=np.uint8))
control = np.exp(np.linspace(-20.0, 20.0, 100_003))
product = np.random.default_rng(1).random((64, 300)) @ np.random.default_rng(2).random((300, 64))
print(digest.hexdigest(), hashlib.sha256(control.tobytes() + product.tobytes()).hexdigest())
"""


def simd_features() -> list[str]:
    """The vector instructions that NumPy uses on this processor."""
    found: list[str] = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return found


def test_every_machine_computes_the_same_frequencies() -> None:
    """Without NumPy's vector code and with another BLAS kernel, float results (the control) change, ours do not."""
    features = simd_features()
    if not features:
        pytest.skip("NumPy has no vector code to switch off on this processor")
    settings = [
        {},
        {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_CORETYPE": "Nehalem"},
        {"COMPGEN_THREADS": "1", "OMP_NUM_THREADS": "1"},
    ]
    lines = []
    for environment in settings:
        done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, check=False, text=True,
                              env={**os.environ, **environment})  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.split())
    ours = {line[0] for line in lines}
    assert len(ours) == 1
    if lines[0][1] == lines[1][1]:
        pytest.skip("switching vector code off changed no float result on this processor: the control shows nothing")


@pytest.mark.parametrize(
    "spec",
    [
        "gzip:rule=calibrated",
        "bz2:effort=best,stride=16",
        "bz2:stride=24,pixel=3",
        "xz:rule=calibrated",
        "zstd:rule=calibrated",
        "ppmd:rule=calibrated,memory=1",
        "png:width=8,rule=calibrated",
        "gzip:rule=calibrated+backoff",
        "history:window=600",
        "history:stride=16",
        "signal:stride=24,pixel=3",
        "zstd-dict:rule=calibrated",
        "gzip:rule=decoder",
        "zstd-dict:rule=decoder",
        "ppmd:rule=decoder,memory=1",
        "null:rule=decoder",
        "gzip:rule=decoder+xz:rule=decoder+backoff",
    ],
)
def test_compiled_loops_give_the_same_frequencies(spec: str, prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    data = prose[:700] + bytes(range(256)) + prose[1000:1100] + bytes(40)
    found = []
    for cost in (0.0, math.inf):
        for loops in (SMALL, copies.LOOPS, forward.LOOPS, ppmd_model.LOOPS):
            monkeypatch.setattr(loops, "cost", cost)
        state = load(spec).start([b""])
        rows = []
        for symbol in np.frombuffer(data, dtype=np.uint8):
            rows.append(state.frequencies()[0])
            state.extend(symbol.reshape(1))
        found.append(np.stack(rows))
    assert np.array_equal(found[0], found[1])

"""Triton's kernels without a GPU: interpreted and compiled. ``test_gpu.py`` runs them on one."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
triton = pytest.importorskip("triton", reason="torch for CPUs comes without Triton")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402
from triton.runtime.jit import JITFunction  # noqa: E402

from compgen.neural import folder  # noqa: E402
from compgen.neural.bytes.cache import KVCache  # noqa: E402
from compgen.neural.bytes.network import ByteNetwork, load, proven_kernels  # noqa: E402
from compgen.neural.bytes.triton_forward import TritonForward  # noqa: E402
from tests.neural import tiny  # noqa: E402

POINTERS = {
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int8: "*i8",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


def step(network: ByteNetwork) -> None:
    nothing = torch.zeros((2, 1), dtype=torch.int64)
    TritonForward(network.weights).forward(KVCache(network.shape, 2, 64, "cpu", packed=True), nothing, nothing)


def test_interpreted_they_give_the_integers_that_torch_gives(tmp_path: Path) -> None:
    """To the last bit. ``triton_oracle.py`` compares, in a process that chooses the interpreter before Triton comes."""
    pytest.importorskip("triton", minversion="3.7", reason="before, Triton's interpreter did what NumPy 2.4 refuses")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.neural.triton_oracle", str(tiny.byte_network(tmp_path))],
        env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr


@pytest.mark.parametrize("capability", [80, 90, 100])
def test_compiled_they_round_as_ieee_754_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capability: int) -> None:
    """In every kernel of the shipped network, no product is fused with a sum, and no quotient is approximated."""
    codes: dict[str, str] = {}

    def compile_only(kernel: Any, *args: Any, grid: object, warmup: bool, **named: Any) -> None:
        """Compile a kernel as a launch would, and do not launch it."""
        names = list(inspect.signature(kernel.fn).parameters)
        given = dict(zip(names, args, strict=False)) | named
        constants = {p.name: given[p.name] for p in kernel.params if p.is_constexpr}
        kinds = {n: POINTERS[given[n].dtype] if isinstance(given[n], torch.Tensor) else "i32" for n in names}
        kinds |= dict.fromkeys(constants, "constexpr")
        aligned = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if kinds[n][0] == "*" or n == "slots"}
        source = ASTSource(kernel, kinds, constants, aligned)
        options = {name: value for name, value in named.items() if name not in names}
        code = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm
        assert code["cubin"]
        codes[kernel.fn.__name__] = code["ptx"]

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(JITFunction, "run", compile_only)
    step(load(str(folder.find("")), "cpu"))
    assert set(codes) == {"_embed", "_add", "_rotate", "_attend", "_quantise", "_gate"}
    seen: set[str] = set()
    for name, code in codes.items():
        operations = set(re.findall(r"^\s+(?:@\S+ )?([a-z][a-z0-9_.]+)", code, re.MULTILINE))
        inexact = {op for op in operations if re.search(r"fma|mad\.r|mma|approx|\.full|rcp|(add|sub|mul|div).*ftz", op)}
        assert not inexact, name
        seen |= operations
    assert {"div.rn.f32", "div.rn.f64", "sqrt.rn.f64", "mul.rn.f32", "add.rn.f32"} <= seen


def failing(*arguments: object) -> None:
    raise RuntimeError("Failed to find C compiler")


def astray(kernels: object, cache: object, symbols: Any, positions: object) -> Any:
    return torch.zeros((*symbols.shape, 257))


@pytest.mark.parametrize(("forward", "reason"), [(failing, "C compiler"), (astray, "other numbers")])
def test_where_they_do_not_serve_torch_computes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forward: Callable[..., Any], reason: str
) -> None:
    monkeypatch.setattr(TritonForward, "forward", forward)
    with pytest.warns(RuntimeWarning, match=f"do not serve here .*{reason}.*torch alone"):
        assert proven_kernels(load(str(tiny.byte_network(tmp_path)), "cpu").weights) is None

"""The package from outside: its public names, what importing it imports, its version."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import compgen
from compgen.errors import SpecError, UsageError

ROOT = Path(compgen.__file__).parent.parent


def test_every_exported_name_is_there_and_typed() -> None:
    assert sorted(compgen.__all__) == dir(compgen)
    for name in compgen.__all__:
        assert getattr(compgen, name) is not None
    tree = ast.parse((ROOT / "compgen/__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(compgen.__all__) - {"__version__", "register"}
    assert (ROOT / "compgen/py.typed").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        compgen.smaple  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, compgen; print(*sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'torch', 'rich'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b""


def test_sampling_from_gzip_imports_no_torch() -> None:
    code = "import sys, compgen; compgen.sample('gzip', b'abc', length=1); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"False"


def test_help_imports_no_numpy() -> None:
    code = (
        "import sys\nfrom compgen.cli import run\nrun(['--help'])\nrun(['sample', '--help'])\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'torch', 'rich'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ})
    assert done.stderr.strip() == b""
    assert b"--compressor" in done.stdout


def test_the_changelog_knows_this_version() -> None:
    assert re.search(rf"^## {re.escape(compgen.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_register_takes_compressors_models_and_samplers_alone() -> None:
    with pytest.raises(UsageError, match="not a subclass"):
        compgen.register("mine", int)  # type: ignore[arg-type]


def test_a_name_of_one_kind_cannot_hide_another_kinds() -> None:
    from compgen.compressors.deflate import Deflate
    from compgen.models.uniform import Uniform

    class MyModel(Uniform):
        pass

    class MyCompressor(Deflate):
        pass

    with pytest.raises(UsageError, match="already"):
        compgen.register("gzip", MyModel)
    with pytest.raises(UsageError, match="already"):
        compgen.register("uniform", MyCompressor)
    with pytest.raises(SpecError, match="abstract"):
        compgen.register("unfinished", compgen.Compressor)


def test_register_refuses_a_name_that_is_taken() -> None:
    from compgen.compressors.deflate import Deflate

    class Mine(Deflate):
        pass

    with pytest.raises(SpecError, match="already"):
        compgen.register("gzip", Mine)
    with pytest.raises(SpecError, match="legal"):
        compgen.register("My Compressor", Mine)
    compgen.register("mine", Mine)
    compgen.register("mine", Mine)
    assert str(compgen.load("mine:level=3")) == "mine:level=3"
    assert len(compgen.sample("mine", b"abcabc", length=3, seed=1)[0].data) == 3

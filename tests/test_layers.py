"""A module imports only from rooms of lower number; rooms of the same number never import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import compgen

PACKAGE = Path(compgen.__file__).parent
RANKS = {
    "atomic": 0,
    "display": 0,
    "errors": 0,
    "extras": 0.5,
    "jit": 0,
    "types": 0,
    "registry": 1,
    "config": 1.5,
    "media": 2,
    "compressors": 3,
    "models": 4,
    "neural": 4.5,
    "coding": 5,
    "sampling": 6,
    "evaluation": 7,
    "training": 6,
    "gallery": 8,
    "cli": 9,
    "testing": 9,
    "__main__": 10,
    "__init__": 10,
}
NEURAL = {"torch", "transformers"}


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def violations(room: str, source: str) -> list[str]:
    found = []
    for module in imports(source):
        parts = module.split(".")
        if parts[0] == "compgen":
            other = parts[1] if len(parts) > 1 else "__init__"
            if other != room and RANKS[other] >= RANKS[room] and not (room == "cli" and other == "__init__"):
                found.append(f"{room} imports {module}")
        elif parts[0] in NEURAL and room not in ("neural", "training"):
            found.append(f"{room} imports {module}")
    return found


def test_every_module_keeps_to_its_room() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 30
    found = []
    for file in files:
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found += [f"{file.name}: {line}" for line in violations(room, file.read_text(encoding="utf-8"))]
    assert found == []


def test_the_check_sees_what_it_should() -> None:
    assert violations("registry", "from compgen.models import load")
    assert violations("training", "import compgen.sampling.base")
    assert violations("sampling", "def f():\n    import torch")
    assert not violations("sampling", "from compgen.models.base import State")

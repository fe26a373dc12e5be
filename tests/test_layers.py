"""The structure that docs/design.md describes: rooms, who imports whom, no circles, nothing too long to read."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import compgen

PACKAGE = Path(compgen.__file__).parent
RANKS = {
    "atomic": 0,
    "display": 0,
    "errors": 0,
    "growing": 0,
    "jit": 0,
    "powers": 0,
    "processes": 0,
    "signals": 0,
    "types": 0,
    "arguments": 0.5,
    "cache": 0.5,
    "extras": 0.5,
    "locks": 0.5,
    "registry": 1,
    "config": 1.5,
    "laws": 1.5,
    "media": 2,
    "compressors": 3,
    "models": 4,
    "neural": 5,
    "coding": 6,
    "sampling": 7,
    "training": 7,
    "evaluation": 8,
    "pages": 8.5,
    "gallery": 9,
    "playground": 9.5,
    "cli": 10,
    "testing": 10,
    "__main__": 11,
    "__init__": 11,
}
NETWORK_LIBRARIES = {"torch", "transformers", "triton"}
NETWORK_ROOMS = ("neural", "training")
LONGEST_FILE = 400  # lines
LONGEST_FUNCTION = 80  # lines


def modules() -> dict[str, str]:
    """The source of each module, by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    assert len(found) > 100
    return found


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Each module that ``source`` imports, at its top or inside a function, and the name taken from it, if any."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


def violations(room: str, source: str) -> list[str]:
    found = []
    for module, _ in imports(source):
        parts = module.split(".")
        if parts[0] == "compgen":
            other = parts[1] if len(parts) > 1 else "__init__"
            if other != room and RANKS[other] >= RANKS[room] and not (room == "cli" and other == "__init__"):
                found.append(f"{room} imports {module}")
        elif parts[0] in NETWORK_LIBRARIES and room not in NETWORK_ROOMS:
            found.append(f"{room} imports {module}")
    return found


def circle(sources: Mapping[str, str]) -> list[str]:
    """Modules that import one another in a circle, in order; none for a graph without one."""
    graph: dict[str, set[str]] = {name: set() for name in sources}
    for name, source in sources.items():
        for module, taken in imports(source):
            target = f"{module}.{taken}" if f"{module}.{taken}" in sources else module
            if target in sources and target != name:
                graph[name].add(target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def too_long(source: str) -> list[str]:
    found = [f"{len(source.splitlines())} lines"] if len(source.splitlines()) > LONGEST_FILE else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            found += [f"{node.name}: {lines} lines"] if lines > LONGEST_FUNCTION else []
    return found


def test_every_module_keeps_to_its_room() -> None:
    found = []
    for name, source in modules().items():
        room = [*name.split("."), "__init__"][1]
        found += [f"{name}: {line}" for line in violations(room, source)]
    assert found == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(modules()) == []


def test_every_file_and_function_can_be_read_at_a_sitting() -> None:
    assert [f"{name}: {line}" for name, source in modules().items() for line in too_long(source)] == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("registry", "from compgen.models import load"),
        ("training", "import compgen.sampling.base"),
        ("sampling", "def f():\n    import torch"),
        ("models", "import torch"),
        ("coding", "from compgen.sampling import sample"),
    ],
)
def test_the_check_of_rooms_sees_what_it_should(room: str, source: str) -> None:
    assert violations(room, source)


def test_the_check_of_rooms_lets_pass_what_it_should() -> None:
    assert not violations("sampling", "from compgen.models.base import State")
    assert not violations("neural", "import torch")


def test_the_check_of_circles_sees_what_it_should() -> None:
    lazy = {"compgen.a": "from compgen import b", "compgen.b": "def f():\n    import compgen.a", "compgen": ""}
    assert set(circle(lazy)) == {"compgen.a", "compgen.b"}
    package = {"p": "from p.one import f", "p.one": "from p.two import g", "p.two": "from p import f"}
    assert circle(package)
    assert not circle({"p": "from p.one import f", "p.one": "from p import two", "p.two": ""})


def test_the_check_of_lengths_sees_what_it_should() -> None:
    assert too_long("x = 1\n" * (LONGEST_FILE + 1))
    assert too_long("def f():\n" + "    x = 1\n" * LONGEST_FUNCTION)
    assert not too_long("def f():\n" + "    x = 1\n" * (LONGEST_FUNCTION - 1))

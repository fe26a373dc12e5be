"""README: its Python runs, and its links lead somewhere. `.ci/walk` runs its commands, and compares what they print."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
COMMANDS = [line[2:] for block in CONSOLE for line in block.splitlines() if line.startswith("$ ")]
COMMANDS += [
    line for block in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


def test_blocks_are_of_languages_that_the_walk_runs() -> None:
    """`.ci/walk` runs README's blocks of sh, console and python, in order; no command may stand in another block."""
    languages = re.findall(r"^```(\w+)$", README, re.MULTILINE)
    assert languages.count("console") >= 4
    assert set(languages) == {"sh", "console", "python"}


def test_there_are_commands_and_none_falls_into_the_trap() -> None:
    assert len(COMMANDS) >= 40
    assert not [command for command in COMMANDS if command.startswith("compgen ")]


def test_python_blocks_run(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, check=False, cwd=tmp_path, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{page} links to {target}"


def test_the_walk_names_what_there_is() -> None:
    """Each `file.py:name` of docs/walk.md is a function or class at the top of that file."""
    hops = re.findall(r"`(compgen/[\w/]+\.py):(\w+)`", (ROOT / "docs/walk.md").read_text(encoding="utf-8"))
    assert len(hops) > 40
    for path, name in hops:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert name in names, f"docs/walk.md names {name} in {path}"

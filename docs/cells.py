"""Run the cells of documentation pages, and compare what they print with what the pages show.

    python docs/cells.py docs/course/*.md            # exit code 1 if a page shows something else
    python docs/cells.py --write docs/course/*.md    # put what was printed into the pages

A cell is a block of ``python``, or a block of ``console`` with commands behind ``$ ``. What Python prints stands in a
block of ``text`` right after it, and what a command prints stands below it. All cells of a page run in order in one
process, in an empty folder that holds the story (examples/prompts/lighthouse.txt). A line ``...`` stands for any lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

STORY = "examples/prompts/lighthouse.txt"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
"""A block: its language, its lines, and the block of ``text`` that follows, if any."""

TIMES = re.compile(r"[\d.,]+(e\+?\d+)? ?(seconds|s|bytes/s)\b")
"""What differs from run to run: seconds and speeds."""

ZLIB = "1.2.13"
"""The zlib that printed what pages show; another one has other code lengths."""


def blocks(markdown: str) -> list[tuple[str, str]]:
    """Cut a page into (kind, text): cells of ``python``, and all between as ``prose``, without what cells print."""
    found: list[tuple[str, str]] = []
    end = 0
    for match in BLOCK.finditer(markdown):
        if match[1] == "python":
            found += [("prose", markdown[end : match.start()]), ("python", match[2])]
            end = match.end()
    found.append(("prose", markdown[end:]))
    return [(kind, text.strip("\n")) for kind, text in found if text.strip()]


def run(markdown: str) -> str:
    """Return a page with what its cells print today, which run in the present folder."""
    names: dict[str, Any] = {"__name__": "__main__"}

    def ran(match: re.Match[str]) -> str:
        language, source, shown = match.groups()
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), _no_exit():
                exec(compile(source, "a cell", "exec", dont_inherit=True), names)  # noqa: S102 - our own pages
            kept = _kept(shown or "", printed.getvalue())
            return f"```python\n{source}```" + (f"\n\n```text\n{kept}```" if kept else "")
        if language == "console":
            return f"```console\n{_commands(source)}```"
        return match[0]

    return BLOCK.sub(ran, markdown)


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """Make an error of a cell that ends the program."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError("a cell ended the program") from error


def _commands(source: str) -> str:
    """Return a block of console with what its commands print today, on standard output and then on standard error."""
    made = []
    for command, shown in re.findall(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", source, re.MULTILINE):
        script = f'cgn() {{ "{sys.executable}" -m compgen "$@"; }}\n{command}'
        environment = {**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)  # noqa: S607
        if done.returncode:
            raise RuntimeError(f"{command}{done.stdout}{done.stderr}")
        made.append(f"$ {command}" + _kept(shown, _ended(done.stdout) + _ended(done.stderr)))
    return "".join(made)


def _ended(text: str) -> str:
    return text and text.rstrip("\n") + "\n"


def _kept(shown: str, printed: str) -> str:
    """Return ``shown`` if it says what was printed but for times and lines left out, otherwise what was printed."""
    parts = (TIMES.sub("(time)", part) for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE))
    pattern = r"(?:.*\n)*?".join(re.escape(part) for part in parts)
    return shown if re.fullmatch(pattern, TIMES.sub("(time)", printed)) else printed


def main(words: list[str]) -> int:
    write, pages = "--write" in words, [Path(word).resolve() for word in words if word != "--write"]
    status = 0
    for path in pages:
        before = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            shutil.copy(ROOT / STORY, folder)
            after = run(before)
        if after == before:
            continue
        if write:
            path.write_text(after, encoding="utf-8")
        elif zlib.ZLIB_RUNTIME_VERSION == ZLIB:
            status = 1
            lines = zip(before.splitlines(), after.splitlines(), strict=False)
            one, other = next(pair for pair in lines if pair[0] != pair[1])
            print(f"{path.name} shows\n    {one}\nand this was printed:\n    {other}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

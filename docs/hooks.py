"""What MkDocs does besides, for the docs site: files of the repository, help of the commands, notebooks of the course.

Pages of docs/ link to files outside docs/ as they lie in the repository, so the links work in a clone too. On the site,
each linked file is copied below ``repository/``, and the links lead there.
"""

from __future__ import annotations

import contextlib
import io
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(ROOT / "docs"))
import cells  # noqa: E402 - it lies beside this file, which MkDocs loads by its path

BESIDE = "repository/"
"""Where the site has files that lie outside docs/."""

SEEDS = ("CHANGELOG.md", "CONTRIBUTING.md")
"""Files outside docs/ that the navigation names."""

LESSONS = {
    f"course/{path.name}": f"course/{path.stem}.ipynb"
    for path in sorted((ROOT / "docs/course").glob("*.md"))
    if path.stem != "index"
}
"""Pages of the course that are notebooks, too, and what those are called."""

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
"""The target of a relative link in Markdown, without its anchor."""

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A fenced block: its language, and its lines."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the playground and the live demo to the navigation, where there are pages of them."""
    for title, page in (("Playground", "playground.md"), ("Demo", "demo/index.md")):
        if (ROOT / "docs" / page).exists() and config.nav is not None:
            config.nav.insert(2, {title: page})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the notebooks, every file outside docs/ that a page links to, and those that the added pages link to."""
    waiting = [*SEEDS]
    for file in files.documentation_pages():
        waiting += _outside(f"docs/{file.src_uri}", file.content_string)
    for page, name in LESSONS.items():
        markdown = (ROOT / "docs" / page).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=json.dumps(notebook(markdown), indent=1)))
    while waiting:
        path = waiting.pop()
        if BESIDE + path not in files.src_uris and (ROOT / path).is_file():
            files.append(File.generated(config, BESIDE + path, abs_src_path=str(ROOT / path)))
            if path.endswith(".md"):
                waiting += _outside(path, (ROOT / path).read_text(encoding="utf-8"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where their files are on the site, and fill in the help of commands."""
    here = page.file.src_uri
    source = here.removeprefix(BESIDE) if here.startswith(BESIDE) else f"docs/{here}"

    def led(match: re.Match[str]) -> str:
        return posixpath.relpath(_place(_joined(source, match[1])), posixpath.dirname(here) or ".")

    markdown = FENCE.sub(_helped, _outside_fences(LINK, led, markdown))
    if here in LESSONS:
        title, rest = markdown.split("\n", 1)
        name = posixpath.basename(LESSONS[here])
        markdown = f"{title}\n\n[This lesson as a notebook]({name}){{ download }}\n{rest}"
    return markdown


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name what the theme leaves without a name, for readers who hear pages."""
    output = output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
    return output.replace('<input type="checkbox" disabled', '<input type="checkbox" aria-label="to do" disabled')


def notebook(markdown: str) -> dict[str, Any]:
    """Return a page as a notebook of format 4. Output and pictures are left out, and answers are not folded."""
    made: list[dict[str, Any]] = []
    for kind, text in cells.blocks(markdown):
        more: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []} if kind == "python" else {}
        lines = re.sub(r"^!\[.*\n?|</?(details|summary).*?>", "", text, flags=re.MULTILINE).splitlines(keepends=True)
        made.append({"cell_type": "markdown", "id": str(len(made)), "metadata": {}, "source": lines, **more})
    return {"cells": made, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def _outside_fences(pattern: re.Pattern[str], replacement: Any, markdown: str) -> str:
    """Replace ``pattern`` everywhere but in fenced blocks."""
    made, end = [], 0
    for match in FENCE.finditer(markdown):
        made += [pattern.sub(replacement, markdown[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*made, pattern.sub(replacement, markdown[end:])])


def _joined(source: str, target: str) -> str:
    """Return the path in the repository that ``target`` means on the page ``source``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _place(path: str) -> str:
    """Return where the site has the file that lies at ``path`` in the repository."""
    return path.removeprefix("docs/") if path.startswith("docs/") else BESIDE + path


def _outside(source: str, markdown: str) -> list[str]:
    """Return the paths outside docs/ that a page links to."""
    joined = [_joined(source, match[1]) for match in LINK.finditer(FENCE.sub("", markdown))]
    return [path for path in joined if not path.startswith(("docs/", ".."))]


def _helped(match: re.Match[str]) -> str:
    """Return a block of the language ``help`` as what the command in it prints; any other block as it is."""
    if match[1] != "help":
        return match[0]
    from compgen.cli import run

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run(match[2].split())
    return f"```text\n{printed.getvalue().strip(chr(10))}\n```"

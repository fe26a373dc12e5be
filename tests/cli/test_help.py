"""``--help`` of all commands: whole sentences at any width, groups, examples that parse, and documents that exist."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from compgen.cli import _command, app, run
from compgen.cli.help import parts
from tests.conftest import ROOT

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
WIDTHS = (60, 80, 120)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def show(*words: str, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        assert run(list(words)) == 0
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_whole_at_any_width(shown: Any, command: str, columns: int) -> None:
    text = shown(command, "--help-all", columns=columns)
    assert max(map(len, text.splitlines())) <= columns
    assert text.startswith(f"Usage: cgn {command} ")
    words = " ".join(text.split())
    for parameter in COMMANDS[command].params:
        assert parameter.help, parameter.name
        assert re.search(r"[.!?]$", parameter.help), f"{parameter.name}: a sentence"
        assert " ".join(parameter.help.split()) in words
        assert all(name in words for name in parameter.opts if name.startswith("-"))
    paragraphs, examples, _ = parts(COMMANDS[command].help)
    assert all(paragraph in words for paragraph in paragraphs)
    assert all(f"  {example}\n" in text for example in examples)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_what_is_common_fits_a_screen(shown: Any, command: str) -> None:
    words = [command, "--help"] if command else ["--help"]
    for columns, most in ((60, 45), (80, 40), (120, 40)):
        assert len(shown(*words, columns=columns).splitlines()) < most, columns


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_parse_and_documents_exist(command: str) -> None:
    _, examples, docs = parts(COMMANDS[command].help)
    assert examples
    for example in examples:
        words = shlex.split(example.replace('eval "$(', "").replace(')"', ""))
        words = words[words.index("cgn") + 1 :]
        words = words[: next((i for i, word in enumerate(words) if word in ("|", ">")), len(words))]
        named = _command().commands[words[0]]
        with named.make_context(words[0], words[1:]):  # an unknown option is an error
            pass
        assert all((ROOT / word).exists() for word in words if word.startswith("configs/"))
    names = docs.removeprefix("Docs: ").split(", ")
    assert names
    assert all((ROOT / name).is_file() for name in names)


def test_each_option_is_in_a_group_in_order(shown: Any) -> None:
    text = shown("sample", "--help")
    heads = re.findall(r"^([A-Z][a-z, ]+):$", text, re.MULTILINE)
    assert heads == ["Prompt", "Model", "Shape", "Output", "Examples"]
    for command in ("sample", "score", "compress", "decompress", "inspect", "verify", "explain", "train"):
        assert all(parameter.rich_help_panel for parameter in COMMANDS[command].params), command


def test_what_is_rare_is_behind_an_option_that_help_names(shown: Any) -> None:
    common, everything = shown("sample", "--help"), shown("sample", "--help-all")
    assert "--help-all shows every option" in common
    assert "--help-all" not in everything
    assert "--top-k" not in common
    assert "--top-k K" in everything
    assert shown("shell-init", "--help") == shown("shell-init", "--help-all")


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_program_lists_each_command_with_a_whole_sentence(shown: Any, columns: int) -> None:
    text = shown("--help", columns=columns)
    assert "..." not in text.partition("Commands:")[2]
    words = " ".join(text.split())
    for command, definition in COMMANDS.items():
        sentence = parts(definition.help)[0][0].partition(". ")[0].removesuffix(".")
        assert f"{command} {sentence}." in words

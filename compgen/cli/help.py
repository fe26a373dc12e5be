"""What ``--help`` prints: whole sentences at any width, options in groups, examples, and where to read on.

A command's docstring has a text, then examples after ``Examples:``, then a last line that begins with ``Docs:``. The
group of an option is its ``rich_help_panel``. Groups in ``_RARE`` are shown by ``--help-all`` alone.
"""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import typer.core

PROMPT = "Prompt"
FILES = "Files"
MODEL = "Model"
SHAPE = "Shape"
OUTPUT = "Output"
RARE_PROMPT = "Prompt, rarely needed"
RARE_FILES = "Files, rarely needed"
RARE_MODEL = "Model, rarely needed"
RARE_SHAPE = "Shape, rarely needed"
RARE_OUTPUT = "Output, rarely needed"

_OTHER = "Options"
"""The group of options that name none."""

_GROUPS = (PROMPT, RARE_PROMPT, FILES, RARE_FILES, MODEL, RARE_MODEL, SHAPE, RARE_SHAPE, _OTHER, OUTPUT, RARE_OUTPUT)
_RARE = (RARE_PROMPT, RARE_FILES, RARE_MODEL, RARE_SHAPE, RARE_OUTPUT)

HELP_OPTIONS = ("-h", "--help", "--help-all")
"""The options that print help. The last also prints what is rarely needed."""

_LEFT = 26
"""Columns for the names of options at most; what is longer has its text on the next line. Chosen."""


class Command(typer.core.TyperCommand):
    """A command with this help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note whether all options are asked for."""
        ctx.meta[__name__] = HELP_OPTIONS[-1] in args
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        text, examples, docs = parts(self.help)
        arguments = [p for p in self.params if p.param_type_name == "argument"]
        usage = ["Usage:", ctx.command_path, "[OPTIONS]", *(_usage(argument) for argument in arguments)]
        lines = [*_wrapped(" ".join(usage), formatter.width, "", "    "), ""]
        for paragraph in text:
            lines += [*_wrapped(paragraph, formatter.width, "  ", "  "), ""]
        groups: dict[str, list[tuple[str, str]]] = {}
        parameters: list[Any] = list(self.params)
        for parameter in parameters:
            groups.setdefault(parameter.rich_help_panel or _OTHER, []).append(_record(parameter, ctx))
        rare = set(groups) & set(_RARE)
        if rare and not ctx.meta.get(__name__):
            help_row = ("-h, --help", "Show this message; --help-all shows every option.")
            groups = {name: rows for name, rows in groups.items() if name not in rare}
        else:
            help_row = ("-h, --help", "Show this message.")
        groups.setdefault(OUTPUT if OUTPUT in groups else _OTHER, []).append(help_row)
        for name in sorted(groups, key=_GROUPS.index):
            lines += [f"{name}:", *_table(groups[name], formatter.width), ""]
        if examples:
            lines += ["Examples:", *(f"  {example}" for example in examples), ""]
        lines += _wrapped(docs, formatter.width, "", "      ")
        formatter.write("\n".join(lines).rstrip() + "\n")


class Group(typer.core.TyperGroup):
    """The program: its help has the first sentence of each command, whole."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        text, examples, docs = parts(self.help)
        lines = [f"Usage: {ctx.command_path} COMMAND [OPTIONS] ...", ""]
        for paragraph in text:
            lines += [*_wrapped(paragraph, formatter.width, "  ", "  "), ""]
        rows = [(name, _first_sentence(self.commands[name].help)) for name in self.list_commands(ctx)]
        lines += ["Commands:", *_table(rows, formatter.width), ""]
        options = [("--version", "Print the version."), ("-h, --help", "Show this message, or that of a COMMAND.")]
        lines += ["Options:", *_table(options, formatter.width), ""]
        lines += ["Examples:", *(f"  {example}" for example in examples), "", *_wrapped(docs, formatter.width, "", "")]
        formatter.write("\n".join(lines).rstrip() + "\n")


def parts(docstring: str | None) -> tuple[list[str], list[str], str]:
    """Return the paragraphs, the examples and the last line of a command's docstring."""
    text, _, rest = inspect.cleandoc(docstring or "").partition("\n\nExamples:\n")
    shown, _, docs = rest.partition("\n\nDocs: ")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return paragraphs, [line.strip() for line in shown.splitlines()], f"Docs: {' '.join(docs.split())}"


def _first_sentence(docstring: str | None) -> str:
    return parts(docstring)[0][0].partition(". ")[0].removesuffix(".") + "."


def _usage(argument: Any) -> str:
    name = str(argument.metavar or argument.name)
    shown = name if argument.required else f"[{name}]"
    return f"{shown}..." if argument.nargs == -1 else shown


def _record(parameter: Any, ctx: Any) -> tuple[str, str]:
    """Return the names of a parameter and its help."""
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name, parameter.help or ""
    names, text = parameter.get_help_record(ctx)
    return names, " ".join(text.split())


def _table(rows: list[tuple[str, str]], width: int) -> list[str]:
    """Return lines of two columns: names, and texts that are wrapped between words."""
    left = max(len(name) for name, _ in rows if len(name) <= _LEFT) + 4
    lines = []
    for name, text in rows:
        first = f"  {name}".ljust(left)
        if len(first) > left:
            lines.append(first)
            first = " " * left
        lines += _wrapped(text, width, first, " " * left) or [first]
    return lines


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )

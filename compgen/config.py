"""Turn TOML tables into frozen dataclasses. Errors name the file, the key and the values that it may have."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from compgen.errors import UsageError
from compgen.registry import quote, suggest

T = TypeVar("T")

_NAMES = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}
"""Names of types, for messages."""


def read(path: str) -> tuple[dict[str, Any], str]:
    """Return the tables of a TOML file, and its text.

    Raises:
        UsageError: the file does not exist, cannot be read, or is not TOML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except FileNotFoundError:
        raise UsageError(f"config '{path}' does not exist; the project's own are in configs/") from None
    except OSError as error:
        raise UsageError(f"config '{path}' cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"config '{path}' is not TOML: {error}") from None


def filled(table: Mapping[str, Any], given: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return ``table`` with values in place of their names, and without its table ``values``.

    A config says in ``[values]`` which values a user may give, each with its default; an empty one must be given.
    ``{NAME}`` in any text of the config stands for the value; in the text of a ``spec`` it is quoted by its grammar.

    Args:
        table: the tables of a config.
        given: values by name.
        where: names the config in errors.

    Raises:
        UsageError: a value is unknown, or lacking.
    """
    values = dict(_convert(table.get("values", {}), dict[str, str], f"{where}, values"))
    for name in given:
        if name not in values:
            raise UsageError(f"{where} has no value '{name}' to set{suggest(name, values)}")
    values |= given
    for name, value in values.items():
        if not value:
            raise UsageError(f"{where} lacks a value: give it by --set {name}=...")

    def fill(item: Any, key: str) -> Any:
        if isinstance(item, str):
            for name, value in values.items():
                item = item.replace(f"{{{name}}}", quote(value) if key == "spec" else value)
            return item
        if isinstance(item, dict):
            return {inner: fill(value, inner) for inner, value in item.items()}
        return [fill(one, key) for one in item] if isinstance(item, list) else item

    return {key: fill(item, key) for key, item in table.items() if key != "values"}


def build(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Return an object of the dataclass ``cls`` with the values of ``table``. ``where`` names the table in errors.

    Raises:
        UsageError: a key is unknown or missing, or its value has the wrong type or is out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise UsageError(f"{where} has no key '{key}'{suggest(key, fields)}")
    for name, field in fields.items():
        if name not in table and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where} lacks the key '{name}'")
    hints = typing.get_type_hints(cls)
    try:
        return cls(**{key: _convert(value, hints[key], f"{where}, {key}") for key, value in table.items()})
    except UsageError as error:
        raise UsageError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Return ``value`` as the type ``hint`` asks for: lists become tuples, and tables dataclasses.

    Raises:
        UsageError: the value has another type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return _convert(value, next(kind for kind in arguments if kind is not type(None)), where)
    if origin is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{where} must be a list, not '{value}'")
        return tuple(_convert(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a table, not '{value}'")
        return {key: _convert(item, arguments[1], f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a table, not '{value}'")
        return build(typing.cast("type[Any]", hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise UsageError(f"{where} must be {_NAMES[hint]}, not '{value}'")
    return value

r"""Specs, and registries that turn a spec into an object.

A spec names a compressor, model or sampler and its options in one line of text::

    spec     = name [ ":" item { "," item } ]
    item     = value | key "=" value         a value without a key may only come first: it is the argument
    value    = plain | '"' quoted '"'        plain: no comma, plus, equals sign or quote, and no space at its ends
    command  = "command:" { key "=" value " " } words      everything after the settings is the program

Inside quotes, ``\"`` and ``\\`` stand for a quote and a backslash. ``+`` joins the members of a mixture. Names and keys
consist of lower-case letters, digits, ``-`` and ``_``. The words of a command are split as a shell splits them, but no
shell runs them. Its settings come before the program, as in env(1). Examples::

    gzip    gzip:level=6,rule=one-step    llm:DIR,beam=10    command:window=4096 xz -9e -c

``str`` of a spec, and of any object built from one, parses back to an equal spec or object.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.metadata
import inspect
import re
import shlex
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from compgen.arguments import before, check_fields
from compgen.errors import SpecError
from compgen.extras import need

# The parts of the grammar above: a name, KEY=VALUE, a common mistake, an item, and values that need quotes.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OPTION = re.compile(r"([a-z][a-z0-9_]*)=(.*)", re.DOTALL)
_OPTION_AFTER_COLON = re.compile(r'([^"=]+):([a-z][a-z0-9_]*=[^"=]+)')
_ITEM = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^",])*', re.DOTALL)
_NEEDS_QUOTES = re.compile(r'[,+="\\]|^\s|\s$|^$')
_NUMBERS: dict[type, tuple[str, re.Pattern[str]]] = {
    int: ("a whole number", re.compile(r"-?(0|[1-9][0-9]{0,17})")),
    float: ("a number", re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?(e[+-]?[0-9]{1,3})?")),
}
"""For each type of number, what it is called and how it is written: int64 holds each whole number."""
_COMMAND = "command"
"""The one name whose argument is a list of words."""


def suggest(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest choice, or the list of all choices if none is near."""
    known = sorted(choices)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


@dataclass(frozen=True)
class Spec:
    """A parsed spec: a name, at most one argument, and options in the order in which they were given."""

    name: str
    argument: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Parse ``text`` by the grammar above.

        Raises:
            SpecError: the text does not follow the grammar.
        """
        name, colon, rest = text.strip().partition(":")
        if name == _COMMAND:
            return cls(name, *_parse_command(rest))
        if len(split_mixture(text)) > 1:
            raise SpecError(f"'{text}' is a mixture; name one of its members")
        if not _NAME.fullmatch(name):
            raise SpecError(f"'{text}' is not a spec; write NAME or NAME:KEY=VALUE,..., such as gzip:level=6")
        if colon and not rest.strip():
            raise SpecError(f"'{text}' ends after its colon; write '{name}' or '{name}:KEY=VALUE'")
        argument: str | None = None
        options: list[tuple[str, str]] = []
        for position, item in enumerate(_split_items(rest, text) if colon else []):
            if match := _OPTION.fullmatch(item):
                key = match[1]
                if any(key == seen for seen, _ in options):
                    raise SpecError(f"'{text}' sets {key} twice; keep one")
                options.append((key, _unquote(match[2], text)))
            elif position == 0:
                argument = _unquote(item, text)
            else:
                raise SpecError(f"'{text}': '{item}' is not KEY=VALUE; put values that hold commas in quotes")
        return cls(name, argument, tuple(options))

    def __str__(self) -> str:
        if self.name == _COMMAND:
            settings = [f"{key}={shlex.quote(value)}" for key, value in self.options]
            return f"{_COMMAND}:{' '.join([*settings, self.argument or ''])}"
        items = [] if self.argument is None else [quote(self.argument)]
        items += [f"{key}={quote(value)}" for key, value in self.options]
        return f"{self.name}:{','.join(items)}" if items else self.name

    def split(self, keys: Iterable[str]) -> tuple[Spec, dict[str, str]]:
        """Return this spec without the options named in ``keys``, and those options."""
        taken = set(keys)
        rest = tuple((key, value) for key, value in self.options if key not in taken)
        return dataclasses.replace(self, options=rest), {k: v for k, v in self.options if k in taken}


def _parse_command(rest: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise SpecError(f"'{_COMMAND}:{rest}': {error}; close the quote") from None
    options = []
    while words and (match := _OPTION.fullmatch(words[0])):
        options.append((match[1], match[2]))
        words.pop(0)
    if not words:
        raise SpecError(f"'{_COMMAND}:' needs a program, such as command:xz -9e -c")
    return shlex.join(words), tuple(options)


def split_mixture(text: str) -> list[str]:
    """Return the members of a mixture, which plus signs outside quotes separate. A command takes all the rest."""
    members = []
    while match := re.match(r'(?!\s*command:)((?:"(?:\\.|[^"\\])*"|[^"+])*)\+', text, re.DOTALL):
        members.append(match[1].strip())
        text = text[match.end() :]
    return [*members, text.strip()]


def _split_items(text: str, whole: str) -> Iterator[str]:
    start = 0
    while True:
        match = _ITEM.match(text, start)
        end = match.end() if match else start
        if end < len(text) and text[end] != ",":
            raise SpecError(f"'{whole}' has a quote that does not close")
        yield text[start:end].strip()
        if end == len(text):
            return
        start = end + 1


def _unquote(value: str, whole: str) -> str:
    if not value.startswith('"'):
        if match := _OPTION_AFTER_COLON.fullmatch(value):
            right = whole.replace(value, f"{match[1]},{match[2]}")
            raise SpecError(f"'{whole}': the options after the first follow a comma; write '{right}'")
        if '"' in value or "=" in value:
            raise SpecError(f"'{whole}': put '{value}' in double quotes, with \\ before a quote inside")
        if not value:
            raise SpecError(f"'{whole}' has an empty value; give one or leave the key out")
        return value
    if len(value) < 2 or not re.fullmatch(r'"(?:\\.|[^"\\])*"', value, re.DOTALL):
        raise SpecError(f"'{whole}': '{value}' goes on after its closing quote")
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)


def quote(value: str) -> str:
    """Return ``value`` as the grammar writes it: in quotes if it needs them."""
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Configured:
    """The base of frozen dataclasses that a spec builds. Every field is an option of the same name.

    The field with ``metadata={"argument": True}`` takes the spec's argument, which may be left out if the field's
    default is "". The metadata ``"parse"`` is a function from the text of the argument to the value of the field; by
    default, the value is the text. The other fields may be int, float, bool or str, or one of these or None.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before(cls, "__post_init__", _with_checked_fields)

    def __post_init__(self) -> None:
        check_fields(self, f"{self.name}:")

    @property
    def spec(self) -> Spec:
        """The shortest spec that builds an equal object. It leaves out options at their defaults."""
        argument = None
        options = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.metadata.get("argument"):
                argument = None if value == field.default and value == "" else str(value)
            elif value != field.default:
                options.append((field.name, _format(value)))
        return Spec(self.name, argument, tuple(options))

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the names of the options that a spec of this class may set."""
        return [f.name for f in dataclasses.fields(cls) if not f.metadata.get("argument")]  # type: ignore[arg-type]

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Build an object from ``spec``.

        Raises:
            SpecError: the argument is missing or not wanted, or an option is unknown or of the wrong type.
            UsageError: a value is out of range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        argument = next((f.name for f in fields.values() if f.metadata.get("argument")), None)
        if spec.argument is not None and argument is None:
            raise SpecError(
                f"{cls.name} takes no argument '{spec.argument}'{suggest(spec.argument, cls.option_names())}"
            )
        if spec.argument is None and argument is not None and fields[argument].default is dataclasses.MISSING:
            raise SpecError(f"{cls.name} needs an argument: {cls.name}:{argument.upper()}")
        values: dict[str, Any] = {}
        if argument is not None and spec.argument is not None:
            values[argument] = fields[argument].metadata.get("parse", str)(spec.argument)
        hints = typing.get_type_hints(cls)
        for key, text in spec.options:
            if key not in fields or key == argument:
                raise SpecError(f"{cls.name} has no option '{key}'{suggest(key, cls.option_names())}")
            values[key] = convert(f"{cls.name}:{key}", text, hints[key])
        return cls(**values)

    def __str__(self) -> str:
        return str(self.spec)


def _with_checked_fields(config: Configured) -> tuple[()]:
    """Check the types of a config's fields before its own checks of their values."""
    check_fields(config, f"{config.name}:")
    return ()


def _format(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def convert(where: str, text: str, hint: Any) -> Any:
    """Convert ``text`` to the type ``hint``, or to its type that is not None. ``where`` names the option in errors.

    Raises:
        SpecError: the text does not convert.
    """
    kind = next(k for k in (*typing.get_args(hint), hint) if k is not type(None))
    if kind is bool:
        if text in ("true", "false"):
            return text == "true"
        raise SpecError(f"{where} must be true or false, not '{text}'")
    # Stricter than Python, which takes " 12", "+12", "1_2" and digits of other scripts: a value has one spelling.
    if kind in _NUMBERS and not _NUMBERS[kind][1].fullmatch(text):
        raise SpecError(f"{where} must be {_NUMBERS[kind][0]}, not '{text}'")
    return kind(text)


T = TypeVar("T", bound=Configured)


@dataclass(frozen=True)
class Entry:
    """A built-in class of a registry.

    Attributes:
        target: ``module:attribute``, where the class is.
        extra: the extra that installs what the class needs, if it needs one.
        alias_of: the name that this name stands for, if it is an alias.
    """

    target: str
    extra: str | None = None
    alias_of: str | None = None


class Registry(Generic[T]):
    """A table from names to classes: built-in ones, which load on first use, plugins, and registered ones.

    Attributes:
        kind: what the classes are, for messages.
        group: the group of entry points in which plugins are looked for.
        base: the class that each plugin must be a subclass of, as "module:Class"; it loads when a plugin does.
    """

    def __init__(self, kind: str, group: str, base: str, builtin: Mapping[str, Entry]) -> None:
        self.kind = kind
        self.group = group
        self.base = base
        self._builtin = dict(builtin)
        self._registered: dict[str, type[T]] = {}

    def _plugins(self) -> dict[str, importlib.metadata.EntryPoint]:
        return {entry.name: entry for entry in importlib.metadata.entry_points(group=self.group)}

    def names(self, aliases: bool = True) -> list[str]:
        """Return all names: built-in ones in the order of their table, then plugins, then registered ones."""
        builtin = [n for n, entry in self._builtin.items() if aliases or entry.alias_of is None]
        return list(dict.fromkeys([*builtin, *sorted(self._plugins()), *self._registered]))

    def __contains__(self, name: str) -> bool:
        return name in self._builtin or name in self._registered or name in self._plugins()

    def is_builtin(self, name: str) -> bool:
        """Return whether ``name`` is a class of this package."""
        return name in self._builtin and name not in self._registered

    def extra_of(self, name: str) -> str | None:
        """Return the extra that a class of this package needs; None if it needs none, or for other classes."""
        return self._builtin[name].extra if self.is_builtin(name) else None

    def register(self, name: str, cls: type[T]) -> None:
        """Make ``cls`` known as ``name`` in this process.

        Raises:
            SpecError: the name is not legal or is taken, or the class cannot be built from a spec.
        """
        if not _NAME.fullmatch(name):
            raise SpecError(f"'{name}' is not a legal name; use lower-case letters, digits, '-' and '_'")
        if inspect.isabstract(cls) or not hasattr(cls, "__dataclass_fields__"):
            raise SpecError(f"{cls.__name__} must be a dataclass with every abstract method written")
        if name in self and self._registered.get(name) is not cls:
            raise SpecError(f"there is a {self.kind} '{name}' already; choose another name")
        _adopt(cls, name)
        self._registered[name] = cls

    def get(self, name: str) -> type[T]:
        """Return the class called ``name``. Its module is imported if it has not been.

        Raises:
            SpecError: the name is unknown, or its plugin does not load or is no class of this kind.
            MissingExtraError: the class needs a package that is not installed.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._builtin:
            entry = self._builtin[name]
            if entry.extra:
                need(entry.target.partition(":")[0], entry.extra, f"{self.kind} '{name}'")
            return typing.cast("type[T]", _load(entry.target))
        plugin = self._plugins().get(name)
        if plugin is None:
            raise SpecError(f"unknown {self.kind} '{name}'{suggest(name, self.names())}")
        try:
            cls = plugin.load()
        except Exception as error:
            raise SpecError(f"plugin {self.kind} '{name}' ({plugin.value}) does not load: {error}") from error
        # Checked before the class gets its name: a name set on a class of the standard library would break others.
        if not (isinstance(cls, type) and issubclass(cls, _load(self.base))):
            wanted = self.base.replace(":", ".")
            raise SpecError(f"plugin {self.kind} '{name}' ({plugin.value}) is not a subclass of {wanted}")
        _adopt(cls, name)
        return typing.cast("type[T]", cls)

    def build(self, spec: str | Spec) -> T:
        """Build the object that ``spec`` describes.

        Raises:
            SpecError: the name is unknown, or an option is wrong.
            MissingExtraError: the class needs a package that is not installed.
        """
        parsed = Spec.parse(spec) if isinstance(spec, str) else spec
        return self.get(parsed.name).from_spec(parsed)


def _load(target: str) -> type:
    """Return the class at ``target``, which is written "module:Class"."""
    module, _, attribute = target.partition(":")
    return typing.cast("type", getattr(importlib.import_module(module), attribute))


def _adopt(cls: type[Any], name: str) -> None:
    """Give ``cls`` the name by which it is known, so that its spec round-trips.

    Raises:
        SpecError: the class has another name of its own.
    """
    if cls.__dict__.get("name", name) != name:
        raise SpecError(f"{cls.__name__} calls itself '{cls.name}'; make that its registered name, not '{name}'")
    cls.name = name

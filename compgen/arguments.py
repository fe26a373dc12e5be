"""Arguments of public functions, checked: an error names the argument, and says what it may be.

The annotations decide. ``checked`` does it for a function, and ``check_fields`` for the fields of a frozen dataclass.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import numbers
import types
import typing
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from compgen.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")

_CALLED = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    bytes: "bytes",
    collections.abc.Callable: "a function",
    collections.abc.Sequence: "a sequence of them",
    tuple: "a tuple",
}
"""What messages call the types of arguments."""


_NUMBERS: dict[Any, type] = {int: numbers.Integral, float: numbers.Real}
"""What counts as a number of each kind: NumPy's too."""


def as_bytes(value: object, what: str) -> bytes:
    """Return bytes, or what holds bytes, as they are, and text as UTF-8. ``what`` names the value in errors.

    Raises:
        UsageError: ``value`` is neither bytes nor text, or holds half a surrogate pair, which UTF-8 cannot encode.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{what} holds half a surrogate pair, which UTF-8 cannot; give bytes") from None
    try:
        return memoryview(value).tobytes()  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{what} must be bytes or text, not {_shown(value)}") from None


def as_prompts(prompts: Any) -> list[bytes]:
    """Return the prompts of a batch as bytes.

    Raises:
        UsageError: they are no sequence of bytes or text, or they are a single one.
    """
    if isinstance(prompts, str | bytes | bytearray | memoryview) or not isinstance(prompts, collections.abc.Iterable):
        raise UsageError(f"prompts must be a list of bytes or text, one for each row, not {_shown(prompts)}")
    return [as_bytes(prompt, "a prompt") for prompt in prompts]


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Return ``function`` with its arguments checked against their annotations; whole numbers of NumPy become ints.

    The wrapped function raises UsageError where an argument is of another type.
    """
    signature = inspect.signature(function)
    hints: dict[str, Any] = {}

    @functools.wraps(function)
    def check(*args: P.args, **kwargs: P.kwargs) -> T:
        if not hints:
            hints.update(typing.get_type_hints(function))
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                continue  # the function itself answers for arguments that it does not have
            bound.arguments[name] = of_type(value, hints[name], name)
        return function(*bound.args, **bound.kwargs)

    return check


def check_fields(instance: Any, where: str) -> None:
    """Check the fields of a dataclass against their annotations. ``where`` comes before their names in errors.

    Raises:
        UsageError: a field is of another type.
    """
    hints = _field_types(instance.__class__)
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        new = of_type(value, hints.get(field.name, Any), where + field.name)
        if new is not value:
            object.__setattr__(instance, field.name, new)


@functools.cache
def _field_types(cls: Any) -> dict[str, Any]:
    """Return the types of the fields of ``cls``; none if its annotations name what cannot be found from outside."""
    try:
        return typing.get_type_hints(cls)
    except NameError:
        return {}


def of_type(value: Any, hint: Any, what: str) -> Any:
    """Return ``value`` if it is of the type ``hint``, a number as a plain int or float. ``what`` names it in errors.

    Raises:
        UsageError: it is of another type.
    """
    kinds = _alternatives(hint)
    for kind in kinds:
        if kind in _NUMBERS and isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool):
            return value if type(value) in (int, kind) else kind(value)
        if kind is bytes and _holds_bytes(value):
            return value
        if kind is Any or (kind not in (int, float, bytes) and isinstance(value, kind)):
            return value
    names = [_CALLED.get(kind) or f"a {kind.__name__}" for kind in kinds if kind is not type(None)]
    *first, last = dict.fromkeys(names)
    wanted = f"{', '.join(first)} or {last}" if first else last
    raise UsageError(f"{what} must be {wanted}, not {_shown(value)}")


@functools.cache
def _alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types that ``hint`` allows, without those of the items of containers."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(hint) for kind in _alternatives(part))
    if origin is typing.Literal:
        return tuple({type(one) for one in typing.get_args(hint)})
    return (origin or hint,)


def _holds_bytes(value: object) -> bool:
    """Return whether ``value`` is bytes, or shows its memory as such."""
    if isinstance(value, bytes):
        return True
    try:
        memoryview(value).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _shown(value: object) -> str:
    """Return ``value`` for a message if it is short, or its type."""
    if value is None or isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
    return type(value).__name__


def before(cls: type, name: str, prepare: Callable[..., tuple[Any, ...]]) -> None:
    """Let the method ``name`` that ``cls`` itself defines take what ``prepare(self, ...)`` makes of its arguments.

    A base class calls it for its subclasses, so that an implementation need not check what every one would.
    """
    method = cls.__dict__.get(name)
    if not inspect.isfunction(method) or getattr(method, "__isabstractmethod__", False):
        return

    @functools.wraps(method)
    def prepared(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self, *prepare(self, *args, **kwargs))

    setattr(cls, name, prepared)

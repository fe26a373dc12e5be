"""What tab completes: specs, by names, the keys of a name's options and the values of some; and values of options."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterable

from compgen.errors import CompgenError
from compgen.registry import Configured


def complete_spec(incomplete: str) -> list[str]:
    """Return the specs that begin with what was typed: ``gz`` becomes ``gzip``, ``gzip:ru`` becomes ``gzip:rule=``.

    In a mixture, the last member is completed.
    """
    before, plus, member = incomplete.rpartition("+")
    name, colon, options = member.partition(":")
    if not colon:
        return [before + plus + one for one in _names() if one.startswith(name)]
    *given, item = options.split(",")
    typed = incomplete.removesuffix(item)
    key, equals, value = item.partition("=")
    with contextlib.suppress(CompgenError):  # an unknown name, or one whose extra is not installed
        hints = _options(name)
        if equals:
            return [f"{typed}{key}={one}" for one in _values(key, hints.get(key)) if one.startswith(value)]
        taken = {one.partition("=")[0] for one in given}
        return [f"{typed}{one}=" for one in hints if one.startswith(key) and one not in taken]
    return []


def complete_rule(incomplete: str) -> list[str]:
    """Return the rules that begin with what was typed."""
    return _beginning(incomplete, _values("rule", str))


def complete_effort(incomplete: str) -> list[str]:
    """Return the efforts that begin with what was typed."""
    return _beginning(incomplete, _values("effort", str))


def complete_sampler(incomplete: str) -> list[str]:
    """Return the samplers that begin with what was typed."""
    from compgen.sampling import SAMPLERS

    return _beginning(incomplete, SAMPLERS.names())


def complete_allowed(incomplete: str) -> list[str]:
    """Return what a sample may hold, as far as it has a name."""
    return _beginning(incomplete, ("utf-8", "printable", "chars:", "bytes"))


def _beginning(typed: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(typed)]


def _names() -> list[str]:
    from compgen.compressors import COMPRESSORS
    from compgen.models import MODELS

    return [*COMPRESSORS.names(), *MODELS.names()]


def _options(name: str) -> dict[str, object]:
    """Return the types of the options that a spec of ``name`` may set, by their keys."""
    from compgen.compressors import COMPRESSORS
    from compgen.models import MODELS, CodeLengthModel

    classes: list[type[Configured]]
    classes = [MODELS.get(name)] if name in MODELS else [COMPRESSORS.get(name), CodeLengthModel]
    return {key: typing.get_type_hints(cls)[key] for cls in classes for key in cls.option_names()}


def _values(key: str, hint: object) -> list[str]:
    from compgen.models.derived.effort import EFFORTS
    from compgen.models.derived.model import RULES

    if hint is bool:
        return ["true", "false"]
    return list({"rule": RULES, "effort": EFFORTS}.get(key, ()))

"""Levels of compression, as gzip and xz have them: how long to work for how small a file."""

from __future__ import annotations

from compgen.errors import UsageError

LEVELS = {
    1: "gzip:rule=decoder",
    3: "ppmd:rule=decoder",
    6: "gzip:rule=decoder+history",
    8: "ppmd:rule=decoder+history",
    9: "llm+history",
}
"""The spec of each level. Each gives smaller files than the one before; ``python -m benchmarks.levels`` measures them.
Levels that would not are left out."""

DEFAULT_LEVEL = 1
"""The level of ``cgn compress``, where neither a level nor a model is named. Chosen: the one that needs no extra and
codes 100 KB in under a minute without compiled loops."""

DEFAULT_SPEC = LEVELS[DEFAULT_LEVEL]
"""The spec of the default level."""


def spec_of(level: int) -> str:
    """Return the spec of ``level``.

    Raises:
        UsageError: there is no such level.
    """
    if level not in LEVELS:
        raise UsageError(f"there is no level {level}; choose {', '.join(map(str, LEVELS))}")
    return LEVELS[level]

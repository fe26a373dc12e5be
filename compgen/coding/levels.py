"""Levels of compression, as gzip and xz have them: how long to work for how small a file."""

from __future__ import annotations

from compgen.errors import UsageError

LEVELS = {
    1: "gzip:rule=decoder",
    3: "history",
    6: "gzip:rule=decoder+history",
    9: "llm+history",
}
"""The spec of each level. Each gives smaller files than the one before, and the last one of text alone;
``python -m benchmarks.levels`` measures them. Levels that would not are
left out: ppmd's law in place of gzip's, or beside it, made a spreadsheet larger."""

_SMALL = 1 << 14
"""Bytes up to which a file is small. Chosen: ``history`` codes as many in some 15 seconds without compiled loops."""


def default_spec(size: int | None) -> str:
    """Return the spec for ``size`` bytes, or None if nobody knows how many, where neither a level nor a model is named.

    Small files get level 3, which learns quickly, and others level 1, which is fast. Neither needs an extra.
    """
    return LEVELS[3 if size is not None and size <= _SMALL else 1]


def spec_of(level: int) -> str:
    """Return the spec of ``level``.

    Raises:
        UsageError: there is no such level.
    """
    if level not in LEVELS:
        raise UsageError(f"there is no level {level}; choose {', '.join(map(str, LEVELS))}")
    return LEVELS[level]

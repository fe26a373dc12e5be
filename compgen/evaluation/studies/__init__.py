"""Studies by name: the built-in ones, and those of other packages (entry-point group ``compgen.studies``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compgen.config import build, filled, read
from compgen.errors import UsageError
from compgen.evaluation.studies.base import Study
from compgen.registry import Entry, Registry, suggest

VERSION = 1
"""Version of the config format, which each config states. A change that makes old configs invalid raises it."""

# A registry builds objects from specs, and its classes are typed so. A study is built from a TOML table instead; of
# the registry it uses names, lazy loading, plugins and errors alone, hence Any.
STUDIES: Registry[Any] = Registry(
    "study",
    "compgen.studies",
    "compgen.evaluation.studies.base:Study",
    {
        "table": Entry("compgen.evaluation.studies.table:RateTable"),
        "context": Entry("compgen.evaluation.studies.context:Context"),
        "corpora": Entry("compgen.evaluation.studies.corpora:Corpora"),
        "headline": Entry("compgen.evaluation.studies.headline:Headline"),
        "generation": Entry("compgen.evaluation.studies.generation:Generation"),
        "scaling": Entry("compgen.evaluation.studies.scaling:Scaling"),
        "tokenisation": Entry("compgen.evaluation.studies.tokenisation:Tokenisation"),
    },
)


def load_study(path: str, values: Mapping[str, str] | None = None) -> tuple[Study, str]:
    """Return the study that the config at ``path`` describes, and what describes it: the config's text and ``values``.

    Args:
        path: path of a TOML file.
        values: what stands for the names in the config's table ``[values]``; see ``compgen.config.filled``.

    Raises:
        UsageError: there is no such file, it does not describe a study, or the plugin behind the study does not load.
        MissingExtraError: the study needs a package that is not installed.
    """
    table, text = read(path)
    table = filled(table, values or {}, f"config '{path}'")
    version, name = table.pop("version", None), table.pop("study", None)
    if name is None and "columns" in table:
        raise UsageError(f"config '{path}' describes a gallery; build it with: cgn gallery {path} -o DIR")
    if version != VERSION:
        raise UsageError(f"config '{path}' must begin with version = {VERSION}")
    if name is None:
        raise UsageError(
            f"config '{path}' must name its study, such as study = \"table\"{suggest('', STUDIES.names())}"
        )
    try:
        cls = STUDIES.get(str(name))
    except UsageError as error:
        raise UsageError(f"config '{path}': {error}") from None
    study: Study = build(cls, table, f"config '{path}'")
    return study, text + "".join(f"\n{key}={value}" for key, value in sorted((values or {}).items()))

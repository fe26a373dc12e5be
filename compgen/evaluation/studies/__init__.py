"""Studies: what the configs describe, by kind."""

from __future__ import annotations

from compgen.config import build, read
from compgen.errors import UsageError
from compgen.evaluation.studies.base import Study
from compgen.evaluation.studies.context import Context
from compgen.evaluation.studies.corpora import Corpora
from compgen.evaluation.studies.generation import Generation
from compgen.evaluation.studies.scaling import Scaling
from compgen.evaluation.studies.table import RateTable
from compgen.evaluation.studies.tokenisation import Tokenisation
from compgen.registry import suggest

VERSION = 1
KINDS: dict[str, type[Study]] = {
    "table": RateTable,
    "context": Context,
    "corpora": Corpora,
    "generation": Generation,
    "scaling": Scaling,
    "tokenisation": Tokenisation,
}


def load_study(path: str) -> tuple[Study, str]:
    """Return the study that a config describes, and the config's text.

    Raises:
        UsageError: there is no such file, or it does not describe a study.
    """
    table, text = read(path)
    version, kind = table.pop("version", None), table.pop("study", None)
    if version != VERSION:
        raise UsageError(f"config '{path}' must begin with version = {VERSION}")
    if kind is None:
        raise UsageError(f"config '{path}' must name its study, such as study = \"table\"{suggest('', KINDS)}")
    if kind not in KINDS:
        raise UsageError(f"config '{path}': there is no study '{kind}'{suggest(str(kind), KINDS)}")
    return build(KINDS[kind], table, f"config '{path}'"), text

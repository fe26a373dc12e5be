"""Import optional packages, with an error that says how to install a missing one."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from compgen.errors import MissingExtraError


def need(module: str, extra: str, what: str) -> Any:
    """Import the module ``module`` and return it.

    Args:
        module: its dotted name.
        extra: the extra of compgen that installs it.
        what: what needs it, for the message, such as "reading pictures".

    Raises:
        MissingExtraError: the module, or a module that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error.name or module, extra, what) from None


def check(module: str, extra: str, what: str) -> None:
    """Check without importing it that ``module`` is installed; arguments and errors as in ``need``."""
    if importlib.util.find_spec(module) is None:
        raise missing(module, extra, what)


def missing(module: str, extra: str, what: str) -> MissingExtraError:
    """Return the error that ``what`` needs ``module``, which the extra ``extra`` installs."""
    return MissingExtraError(f"{what} needs {_PACKAGES.get(module, module)}: pip install 'compgen[{extra}]'")


_PACKAGES = {"PIL": "Pillow"}
"""The names of packages that differ from the names of their modules."""

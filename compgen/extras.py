"""Optional packages: the one place that says how to install what is missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from compgen.errors import MissingExtraError


def need(module: str, extra: str, what: str) -> Any:
    """Return the imported module ``module``.

    Args:
        module: its dotted name.
        extra: the extra of compgen that installs it.
        what: what needs it, for the message: "reading pictures", say.

    Raises:
        MissingExtraError: it, or something that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error.name or module, extra, what) from None


def check(module: str, extra: str, what: str) -> None:
    """Find out, without importing it, that ``module`` is installed; otherwise raise as ``need`` does."""
    if importlib.util.find_spec(module) is None:
        raise missing(module, extra, what)


def missing(module: str, extra: str, what: str) -> MissingExtraError:
    """Return the error that says that ``what`` needs ``module``, and how to install it."""
    return MissingExtraError(f"{what} needs {_PACKAGES.get(module, module)}: pip install 'compgen[{extra}]'")


_PACKAGES = {"PIL": "Pillow"}
"""Names under which packages are installed, where these differ from the module's."""

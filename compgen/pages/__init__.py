"""What all pages of compgen share: a style sheet, the theme, a base template and its parts. Nothing is fetched.

A package with pages keeps its own templates in its folder ``site``. They say ``{% extends "base.html" %}`` and
``{% import "parts.html" as parts %}``, and are found before those of the same name here.
"""

from __future__ import annotations

import importlib.resources
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

STATIC = ("base.css", "theme.js")
"""Files of ``site/`` that each page loads from beside it. ``static`` reads them."""


def environment(package: str) -> jinja2.Environment:
    """Return the templates in the folder ``site`` of ``package``, and the shared ones. All values are escaped."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "site"), jinja2.PackageLoader(__name__, "site")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["script_data"] = script_data
    return made


def static(name: str, package: str = __name__) -> str:
    """Return the text of a file in the folder ``site`` of ``package``, by default one of ``STATIC``."""
    return importlib.resources.files(package).joinpath("site", name).read_text("utf-8")


def script_data(value: Any) -> Markup:
    """Return ``value`` as JSON for a ``<script type="application/json">``, which no "<" in it can end."""
    from markupsafe import Markup

    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704 - escaped here

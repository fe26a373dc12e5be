"""``cgn playground``: a page to type into, and watch what compressors expect."""

from __future__ import annotations

from typing import Annotated

import typer

from compgen.extras import need


def playground(
    port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help="The port of this machine where the page is. Default: any that is free.",
            show_default=False,
        ),
    ] = 0,
) -> None:
    """See what compressors expect, in a browser.

    Type a text, drop a picture or a sound, draw a tile, record a second, or play Shannon's guessing game. The page is
    served to this machine alone, at an address with a token that changes with each start. It loads nothing from the
    network. Ctrl-C ends it.

    Examples:
        cgn playground
        cgn playground --port 8000

    Docs: docs/playground.md
    """
    for module in ("starlette", "uvicorn", "jinja2"):
        need(module, "playground", "the playground")
    from compgen.playground.serve import serve

    serve(port, _tell)


def _tell(address: str) -> None:
    """Print where the page is. Whoever reads the output may wait for this line."""
    print(f"The playground is at {address} until Ctrl-C.", flush=True)

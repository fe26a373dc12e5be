"""``python -m compgen`` and the scripts ``compgen`` and ``cgn``: the command line."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit; an interrupt is quiet from the first moment on."""
    try:
        from compgen.cli import main as run

        run()
    except KeyboardInterrupt:
        print("cgn: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

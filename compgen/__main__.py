"""The command line, started by ``python -m compgen``, ``compgen`` or ``cgn``."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit. An interrupt prints no traceback, even while modules are imported."""
    try:
        from compgen.cli import main as run

        run()
    except KeyboardInterrupt:
        print("cgn: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

"""The command line, started by ``python -m compgen``, ``compgen`` or ``cgn``."""

from __future__ import annotations

import sys
from typing import NoReturn

from compgen.signals import answer, handle


def main() -> NoReturn:
    """Run the command line and exit. An interrupt prints one line, even while modules are imported."""
    try:
        handle()
        from compgen.cli import main as run

        run()
    except KeyboardInterrupt:
        code = answer()
        print("cgn: interrupted", file=sys.stderr)
        sys.exit(code)


if __name__ == "__main__":
    main()

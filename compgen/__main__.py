"""``python -m compgen``: the command line, in a form that works in every shell."""

from compgen.cli import main

if __name__ == "__main__":
    main()

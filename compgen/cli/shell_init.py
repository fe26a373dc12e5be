"""``cgn shell-init``: print the lines that make ``compgen`` and tab completion work in a shell.

In bash, ``compgen`` is a builtin that completion scripts need. So a function of that name passes on to the builtin
whatever does not begin with one of our commands.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """The shells that ``shell-init`` supports."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH = """\
# compgen in bash: add  eval "$(cgn shell-init bash)"  to ~/.bashrc
compgen() {
    case "${1-}" in
        COMMANDS) command cgn "$@" ;;
        *) builtin compgen "$@" ;;
    esac
}
_cgn_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $( COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _CGN_COMPLETE=complete_bash command cgn ) )
}
complete -o default -F _cgn_completion cgn compgen
"""

_ZSH = """\
# compgen in zsh: add  eval "$(cgn shell-init zsh)"  to ~/.zshrc, after compinit and bashcompinit if you use them
if (( $+functions[compgen] )) && [[ $functions[compgen] != *_cgn_bashcompinit_compgen* ]]; then
    functions -c compgen _cgn_bashcompinit_compgen
fi
compgen() {
    case "${1-}" in
        COMMANDS) command cgn "$@" ;;
        *) if (( $+functions[_cgn_bashcompinit_compgen] )); then
               _cgn_bashcompinit_compgen "$@"
           else
               command cgn "$@"
           fi ;;
    esac
}
_cgn_completion() {
    eval $(env _TYPER_COMPLETE_ARGS="cgn ${words[2,$CURRENT]}" _CGN_COMPLETE=complete_zsh cgn)
}
(( $+functions[compdef] )) && compdef _cgn_completion cgn compgen
true
"""

_FISH = """\
# compgen in fish: add  cgn shell-init fish | source  to ~/.config/fish/config.fish
function compgen
    command cgn $argv
end
for program in cgn compgen
    complete --command $program --no-files \\
        --arguments "(env _CGN_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
            _TYPER_COMPLETE_ARGS=(commandline -cp) cgn)" \\
        --condition "env _CGN_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args \\
            _TYPER_COMPLETE_ARGS=(commandline -cp) cgn"
end
"""

_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}
"""The lines for each shell, with COMMANDS where the names of our commands belong."""


def shell_init(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")], context: typer.Context
) -> None:
    """Print the lines that make compgen and tab completion work in your shell."""
    parent = context.parent
    assert parent is not None  # noqa: S101 - a command always has the group above it
    names = "|".join(parent.command.list_commands(parent))  # type: ignore[attr-defined]
    print(_SCRIPTS[shell].replace("COMMANDS", names), end="")

"""``cgn shell-init``: print the lines that make ``compgen`` and tab completion work in a shell.

In bash, ``compgen`` is a builtin that completion scripts need. They always begin with an option of the builtin. So a
function of that name passes on to the builtin what begins with an option that is not ours, and takes the rest.
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
        -h|--help|--help-all|--version) command cgn "$@" ;;
        -*) builtin compgen "$@" ;;
        *) command cgn "$@" ;;
    esac
}
_cgn_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" reply
    local word="${line##*[[:space:]]}"
    [[ $word == --*=* ]] && word="${word#*=}"
    # bash completes what follows the last ":" or "=" of a spec.
    local whole="${word%"${word##*[:=]}"}"
    COMPREPLY=()
    # The protocol for fish takes the line as it is; bash would split --compressor=gzip at "=". It adds help after tabs.
    while IFS= read -r reply; do
        reply="${reply%%$'\\t'*}"
        COMPREPLY+=("${reply#"$whole"}")
    done < <(COLUMNS=10000 _TYPER_COMPLETE_ARGS="$line" _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _CGN_COMPLETE=complete_fish command cgn 2> /dev/null)
    [[ ${#COMPREPLY[@]} == 1 && -z ${COMPREPLY[0]} ]] && COMPREPLY=()
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2> /dev/null
    return 0
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
        -h|--help|--help-all|--version) command cgn "$@" ;;
        -*) if (( $+functions[_cgn_bashcompinit_compgen] )); then
                _cgn_bashcompinit_compgen "$@"
            else
                command cgn "$@"
            fi ;;
        *) command cgn "$@" ;;
    esac
}
_cgn_completion() {
    local reply name
    local -a keys others
    # The protocol for fish takes the line as it is, and gives help after tabs.
    while IFS= read -r reply; do
        name="${reply%%$'\\t'*}"
        if [[ $name == *= ]]; then
            keys+=("$name")
        elif [[ -n $name ]]; then
            others+=("${name//:/\\\\:}${${(M)reply:#*$'\\t'*}:+:${reply#*$'\\t'}}")
        fi
    done < <(COLUMNS=10000 _TYPER_COMPLETE_ARGS="cgn ${words[2,$CURRENT]}" _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _CGN_COMPLETE=complete_fish command cgn 2> /dev/null)
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    (( $#keys )) && compadd -S '' -a keys
    (( $#others )) && _describe cgn others
    (( $#keys + $#others )) || _files
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
        --arguments "(env COLUMNS=10000 _CGN_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
            _TYPER_COMPLETE_ARGS=(commandline -cp) cgn)" \\
        --condition "env _CGN_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args \\
            _TYPER_COMPLETE_ARGS=(commandline -cp) cgn"
end
"""

_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}
"""The lines for each shell. A width of 10,000 columns keeps the help of an option on the line of the option."""


def shell_init(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")]) -> None:
    """Print what makes compgen and tab completion work in your shell.

    Examples:
        eval "$(cgn shell-init bash)"
        cgn shell-init fish | source

    Docs: README.md
    """
    print(_SCRIPTS[shell], end="")

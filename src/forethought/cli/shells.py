"""Completion scripts for each shell, and their installation."""

from __future__ import annotations

import os
from pathlib import Path

from forethought.contracts.errors import UnknownNameError, UsageError

_BASH = """\
_forethought() {
    local IFS=$'\\n'
    COMPREPLY=($(forethought --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _forethought forethought
"""
_ZSH = """\
#compdef forethought
_forethought() {
    local -a found
    found=("${(@f)$(forethought --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _forethought forethought
"""
_FISH = """\
function __forethought
    forethought --complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c forethought -a '(__forethought)'
"""
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName forethought -ScriptBlock {
    param($word, $line, $cursor)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($word -eq "") { $words += '""' }
    forethought --complete @words 2>$null
}
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
_FILES = {
    "bash": (".bash_completions/forethought.sh", ".bashrc", "source {file}"),
    "zsh": (".zfunc/_forethought.zsh", ".zshrc", "autoload -Uz compinit; compinit; source {file}"),
    "fish": (".config/fish/completions/forethought.fish", "", ""),
}
"""By shell, below the home folder: the script's file, the start-up file, and the line in it."""


def script(shell: str) -> str:
    """The script of the named shell, or of the current one."""
    return _SCRIPTS[_known(shell)].rstrip("\n")


def install(shell: str) -> str:
    """Install the script and return a message for the user."""
    name = _known(shell)
    if name not in _FILES:
        raise UsageError(
            f"completion for {name} cannot be installed",
            f"add the output of `forethought --show-completion {name}` to the file $PROFILE",
        )
    below, begins, line = _FILES[name]
    file = Path.home() / below
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_SCRIPTS[name], encoding="utf-8")
    if begins:
        _append(Path.home() / begins, line.format(file=f"~/{below}"))
    return f"{name} completes forethought commands after a restart: {file}"


def _append(file: Path, line: str) -> None:
    held = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    if line not in held.splitlines():
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"\n{line}\n" if held and not held.endswith("\n") else f"{line}\n")


def _known(shell: str) -> str:
    found = shell or Path(os.environ.get("SHELL", "powershell" if os.name == "nt" else "")).name
    if not found:
        raise UsageError("the current shell is unknown", f"name one: {', '.join(_SCRIPTS)}")
    if found not in _SCRIPTS:
        raise UnknownNameError.among("shell", found, _SCRIPTS)
    return found

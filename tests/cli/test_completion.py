"""Words that are completed, and shells that ask for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.cli import shells
from forethought.cli.command import FLAGS
from forethought.cli.completion import complete
from forethought.cli.main import VERBS
from forethought.contracts.errors import UnknownNameError, UsageError


def completed(*words: str) -> list[str]:
    return complete(words, VERBS, FLAGS)


def test_the_first_word_is_a_verb_or_an_option() -> None:
    assert completed("") == [*VERBS]
    assert completed("comp") == ["compare", "compress"]
    assert completed("--v") == ["--value", "--verbose", "--version"]
    assert completed("--see") == ["--seed"]


def test_options_are_those_of_the_verb() -> None:
    assert completed("list", "-") == ["--json", "--help", "-h"]
    assert completed("tune", "--b") == ["--by", "--bins"]
    assert completed("Why?", "--se") == ["--search", "--seed"]


def test_values_are_names_of_the_catalogue() -> None:
    assert completed("hi", "-x", "snap") == ["snapkv"]
    assert completed("hi", "--search", "majority") == ["majority-vote"]
    assert completed("hi", "--scorer", "self-j") == ["self-judge"]
    assert completed("compare", "-t", "addi") == ["addition"]
    assert completed("evaluate", "-t", "rul") == ["ruler"]
    assert completed("hi", "-m", "smol") == ["smollm2"]
    assert completed("show", "niah-single") == ["niah-single-1", "niah-single-2", "niah-single-3"]
    assert set(completed("list", "")) >= {*catalogue.families(), "models", "tasks"}


def test_files_are_left_to_the_shell() -> None:
    assert completed("hi", "-f", "a") == []
    assert completed("hi", "--seed", "") == []


def command_in(folder: Path) -> dict[str, str]:
    """An environment in which a shell finds the command."""
    program = folder / "forethought"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m forethought "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
def test_fish_completes_a_line(tmp_path: Path) -> None:
    line = f"{shells.script('fish')}\ncomplete -C 'forethought Why? -x snap'\n"

    done = subprocess.run(
        ["fish", "--no-config", "-c", line],
        capture_output=True,
        text=True,
        env=command_in(tmp_path),
    )

    assert done.stdout.splitlines() == ["snapkv"]


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_a_line(tmp_path: Path) -> None:
    line = (
        f"{shells.script('bash')}\n"
        "COMP_WORDS=(forethought Why? -x snap) COMP_CWORD=3; _forethought; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(forethought '') COMP_CWORD=1; _forethought; echo ${COMPREPLY[0]}\n"
        "complete -p forethought\n"
    )

    done = subprocess.run(
        ["bash", "--norc"], input=line, capture_output=True, text=True, env=command_in(tmp_path)
    )

    assert done.stdout.splitlines() == [
        "snapkv", "ask", "complete -o default -F _forethought forethought",
    ]  # fmt: skip


def test_a_script_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'")

    for shell in ("bash", "bash", "zsh", "fish"):
        assert f"{shell} completes" in shells.install(shell)

    read = "source ~/.bash_completions/forethought.sh"
    assert (tmp_path / ".bashrc").read_text() == f"alias ll='ls -l'\n{read}\n"
    assert "forethought --complete" in (tmp_path / ".bash_completions/forethought.sh").read_text()
    assert "forethought" in (tmp_path / ".zshrc").read_text()
    assert (tmp_path / ".config/fish/completions/forethought.fish").exists()


def test_the_shell_in_use_is_meant_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert shells.script("").startswith("#compdef")
    assert shells.script("bash").startswith("_forethought()")

    monkeypatch.setenv("SHELL", "")
    with pytest.raises(UsageError, match="current shell is unknown"):
        shells.script("")
    with pytest.raises(UnknownNameError, match="no shell is called 'csh'"):
        shells.install("csh")
    with pytest.raises(UsageError, match="cannot be installed"):
        shells.install("powershell")

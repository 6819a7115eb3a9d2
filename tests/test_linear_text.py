"""Text that users, files and servers give is handled in time that grows as the text does."""

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import forethought
from tests.regex_steps import Matcher, TooManyStepsError

SHORT, LONG = 24, 240
"""Ten times the text may take at most fifteen times the steps."""
METHODS = ("match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split")
UNSEEN = {("forethought.tasks.programming.humaneval", 1)}


class Use(NamedTuple):
    where: str
    method: str
    pattern: re.Pattern[str]


def uses() -> Iterator[Use]:
    """Every pattern in the package with the method it is used by."""
    for found in pkgutil.walk_packages(forethought.__path__, "forethought."):
        source = Path(found.module_finder.path, f"{found.name.rpartition('.')[2]}.py")  # type: ignore[union-attr]
        if source.is_file() and "import re\n" in (text := source.read_text()):
            module = importlib.import_module(found.name)
            yield from _used_in(ast.parse(text), vars(module), found.name)


def _used_in(tree: ast.AST, names: dict[str, Any], where: str) -> Iterator[Use]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        method, owner = node.func.attr, node.func.value
        if method not in METHODS or not isinstance(owner, ast.Name):
            continue
        if owner.id == "re":
            flags = [one.value for one in node.keywords if one.arg == "flags"] + [
                one for one in node.args[1:] if ast.unparse(one).startswith("re.")
            ]
            source = ast.unparse(node.args[0])
            try:
                pattern = eval(source, names)
                bits = sum(eval(ast.unparse(one), names) for one in flags)
            except NameError:
                print("unseen", where, source)
                continue
            if isinstance(pattern, str):
                yield Use(f"{where}:{node.lineno}", method, re.compile(pattern, bits))
        elif isinstance(names.get(owner.id), re.Pattern):
            yield Use(f"{where}:{node.lineno}", method, names[owner.id])

"""The shape of the source: short functions and modules, one class a name, no cyclic imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import forethought

MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_MODULE = 400
Tree = Mapping[str, str]
"""The text of each module, by its dotted name."""


def modules(folder: Path) -> Tree:
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text("utf-8")
    return found


SOURCE = modules(Path(forethought.__file__).parent)


@cache
def parsed(text: str) -> ast.Module:
    """A module, which no test changes."""
    return ast.parse(text)


def long_modules(tree: Tree) -> list[str]:
    return [name for name, text in tree.items() if text.count("\n") > MOST_LINES_OF_A_MODULE]


def long_functions(tree: Tree) -> list[str]:
    return [
        f"{name}.{node.name}"
        for name, text in tree.items()
        for node in ast.walk(parsed(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]


def repeated_classes(tree: Tree) -> dict[str, list[str]]:
    """The modules of each public top-level class that more than one of them has."""
    homes = defaultdict(list)
    for name, text in tree.items():
        for node in parsed(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    return {name: found for name, found in homes.items() if len(found) > 1}


def cycle(tree: Tree) -> list[str]:
    """Modules that import each other in a circle; none where there is no such circle."""
    graph = {name: set(imports(parsed(text), tree)) - {name} for name, text in tree.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def imports(node: ast.AST, tree: Tree) -> Iterator[str]:
    """The modules of the tree that a module imports when it is imported."""
    for below in ast.iter_child_nodes(node):
        match below:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                continue  # an import in a function waits until that is called
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                for one in otherwise:
                    yield from imports(one, tree)
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name in tree)
            case ast.ImportFrom(module=str(module), names=names):
                for one in names:
                    yield from (n for n in (f"{module}.{one.name}", module) if n in tree)
            case _:
                yield from imports(below, tree)


def test_functions_and_modules_are_short() -> None:
    assert long_functions(SOURCE) == []
    assert long_modules(SOURCE) == []


def test_a_public_class_has_its_name_for_itself() -> None:
    assert repeated_classes(SOURCE) == {}


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    assert len(SOURCE) > 200
    assert cycle(SOURCE) == []


@pytest.mark.parametrize(
    ("text", "circular"),
    [
        ("from a import b", True),
        ("import a.b", True),
        ("from a.b import x", True),
        ("class C:\n    from a.b import x", True),
        ("try:\n    from a.b import x\nexcept ImportError: pass", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.b import x", False),
        ("def f():\n    from a.b import x", False),
        ("import os", False),
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(text: str, circular: bool) -> None:
    tree = {"a.b": "from a.c import y", "a.c": "from a.d import z", "a.d": text}

    assert set(cycle(tree)) == ({"a.b", "a.c", "a.d"} if circular else set())


def test_what_is_too_long_or_there_twice_is_found() -> None:
    body = "    pass\n" * MOST_LINES_OF_A_FUNCTION
    tree = {
        "a": "class A:\n    def short(self): ...\nclass _Own: ...",
        "b": f"async def long():\n{body}\nclass A: ...\nclass _Own: ...",
        "c": "\n" * (MOST_LINES_OF_A_MODULE + 1),
    }

    assert long_functions(tree) == ["b.long"]
    assert long_modules(tree) == ["c"]
    assert repeated_classes(tree) == {"A": ["a", "b"]}

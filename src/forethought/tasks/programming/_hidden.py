"""Splits a test function into programs with one assertion each."""

from __future__ import annotations

import ast


def parts(test: str) -> tuple[str, ...]:
    """The test program once per asserting statement of `check`, without the other assertions.

    Other statements stay. The whole program is returned if it has fewer than two asserting
    statements or does not parse.
    """
    try:
        tree = ast.parse(test)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return (test,)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    check = next((one for one in functions if one.name == "check"), None)
    body = check.body if check else []
    asserting = [node for node in body if _asserts(node)]
    if check is None or len(asserting) < 2:
        return (test,)
    found = []
    for kept in asserting:
        check.body = [node for node in body if node is kept or node not in asserting]
        found.append(ast.unparse(tree))
    return tuple(found)


def _asserts(node: ast.stmt) -> bool:
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))

"""The parts of a test function: what each of its asserts needs, so that each can be run alone."""

from __future__ import annotations

import ast


def parts(test: str) -> tuple[str, ...]:
    """The test's program once for each statement of `check` that asserts, without the others.

    What prepares them stays in its place. The whole, where there are not several such statements
    or they cannot be told apart.
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

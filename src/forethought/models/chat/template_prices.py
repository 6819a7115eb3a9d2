"""Inserts costs into a chat template's syntax tree before compilation.

A cost is a filter around an expression that returns its value unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from forethought.models.chat.template_budget import current_budget

_STEP, _READ, _WRITE, _BUILT = "_step", "_read", "_write", "_built"
_SEQUENCES = (str, list, tuple)
_OWN = (nodes.TemplateData, nodes.Const)  # the template's literal text


class CostInserter(NodeTransformer):
    """Wraps the expressions that cost something in filters that charge for them."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Each iteration is a step, even one that the loop's condition skips."""
        self.generic_visit(node)
        node.body.insert(0, _cost(node, 0))
        if node.test is not None:
            step = _filtered(nodes.Const(0, lineno=node.lineno), _STEP)
            node.test = nodes.And(nodes.Not(step), node.test, lineno=node.lineno)
        return node

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        """Printed values and literal text are charged as characters."""
        self.generic_visit(node)
        own = [one for one in node.nodes if isinstance(one, _OWN)]
        node.nodes = [
            one if isinstance(one, _OWN) else _filtered(one, _WRITE) for one in node.nodes
        ]
        return [_cost(node, sum(map(_length, own))), node]

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Concatenated values are charged as characters."""
        self.generic_visit(node)
        node.nodes = [_filtered(one, _WRITE) for one in node.nodes]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Both operands are traversed."""
        self.generic_visit(node)
        node.expr = _filtered(node.expr, _READ)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, _READ)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """Slices are copies."""
        self.generic_visit(node)
        return _filtered(node, _BUILT) if isinstance(node.arg, nodes.Slice) else node

    def _literal(self, node: nodes.Expr) -> nodes.Node:
        """Containers are traversed once, with repeated members counted repeatedly."""
        self.generic_visit(node)
        return node if getattr(node, "ctx", "load") != "load" else _filtered(node, _READ)

    visit_List = visit_Dict = visit_Tuple = _literal


def _length(node: nodes.Node) -> int:
    return len(
        str(node.data if isinstance(node, nodes.TemplateData) else getattr(node, "value", ""))
    )


def _cost(node: nodes.Node, characters: int) -> nodes.ExprStmt:
    """A statement that spends one step, and characters."""
    step = _filtered(nodes.Const(characters, lineno=node.lineno), _STEP)
    return nodes.ExprStmt(step, lineno=node.lineno)


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _step(characters: int) -> None:
    current_budget.get().spend(1, characters)


def _read(value: Any) -> Any:
    current_budget.get().read(value)
    return value


def _write(value: Any) -> Any:
    current_budget.get().write(value)
    return value


def _built(value: Any) -> Any:
    """Charge a slice: copied characters of a text, or references of a list."""
    size = len(value) if isinstance(value, _SEQUENCES) else 0
    current_budget.get().spend(1 + size // 8, size if isinstance(value, str) else 0)
    return value


COST_FILTERS: dict[str, Callable[[Any], Any]] = {
    _STEP: _step,
    _READ: _read,
    _WRITE: _write,
    _BUILT: _built,
}
"""The filters that `CostInserter` inserts into templates."""

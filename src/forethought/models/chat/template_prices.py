"""Costs written into a chat template's tree, before it is compiled.

A cost is a filter around what it is of: its value comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from forethought.models.chat.template_budget import spending

_STEP, _READ, _WRITE, _BUILT = "_step", "_read", "_write", "_built"
_SEQUENCES = (str, list, tuple)
_OWN = (nodes.TemplateData, nodes.Const)  # text of the template's own


class Priced(NodeTransformer):
    """Writes costs into a template's tree, as filters around what costs."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Each turn is a step, also one that the loop's condition skips."""
        self.generic_visit(node)
        node.body.insert(0, _cost(node, 0))
        if node.test is not None:
            step = _filtered(nodes.Const(0, lineno=node.lineno), _STEP)
            node.test = nodes.And(nodes.Not(step), node.test, lineno=node.lineno)
        return node

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        """Values that are shown become text, and the template's own text is written."""
        self.generic_visit(node)
        own = [one for one in node.nodes if isinstance(one, _OWN)]
        node.nodes = [
            one if isinstance(one, _OWN) else _filtered(one, _WRITE) for one in node.nodes
        ]
        return [_cost(node, sum(map(_length, own))), node]

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Values that are joined become text."""
        self.generic_visit(node)
        node.nodes = [_filtered(one, _WRITE) for one in node.nodes]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Both sides are read through."""
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
        """Containers are read through once: what is inside twice counts twice."""
        self.generic_visit(node)
        return node if getattr(node, "ctx", "load") != "load" else _filtered(node, _READ)

    visit_List = visit_Dict = visit_Tuple = _literal


def _length(node: nodes.Node) -> int:
    return len(
        str(node.data if isinstance(node, nodes.TemplateData) else getattr(node, "value", ""))
    )


def _cost(node: nodes.Node, characters: int) -> nodes.ExprStmt:
    """A statement that spends a step, and so many characters."""
    step = _filtered(nodes.Const(characters, lineno=node.lineno), _STEP)
    return nodes.ExprStmt(step, lineno=node.lineno)


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _step(characters: int) -> None:
    spending.get().spend(1, characters)


def _read(value: Any) -> Any:
    spending.get().read(value)
    return value


def _write(value: Any) -> Any:
    spending.get().write(value)
    return value


def _built(value: Any) -> Any:
    """A slice: characters, or references to what is there already."""
    size = len(value) if isinstance(value, _SEQUENCES) else 0
    spending.get().spend(1 + size // 8, size if isinstance(value, str) else 0)
    return value


PRICES: dict[str, Callable[[Any], Any]] = {
    _STEP: _step,
    _READ: _read,
    _WRITE: _write,
    _BUILT: _built,
}
"""The filters that `Priced` writes into templates."""

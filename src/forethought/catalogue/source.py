"""What a method's or task's source says of it, read without importing it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from forethought.catalogue.places import plain_name, record, text_of, unreadable
from forethought.contracts import parameters, spelling
from forethought.contracts.errors import DamagedFileError


@dataclass(frozen=True)
class Parameter:
    """One setting of a method or task, as its source declares it."""

    name: str
    limits: str
    """The values it may take, in words."""
    default: str
    """As it would be spelled; empty where there is none."""
    help: str


@dataclass(frozen=True)
class Entry:
    """What is known of a method or task without importing it."""

    name: str
    family: str
    summary: str
    notes: dict[str, str]
    """Paper, Exact, Cost and the like: what follows each in the docstring."""
    parameters: tuple[Parameter, ...]
    module: str
    class_name: str
    path: Path
    line: int
    """Where the class begins in the file at `path`."""
    constants: dict[str, object] = field(default_factory=dict)
    """What its class says of all that are made of it, such as whether a scorer must be named."""

    def document(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        told = asdict(self) | {"path": str(self.path)}
        return {name: value for name, value in told.items() if name != "constants"}

    def load(self) -> type[Any]:
        """The class itself, imported now."""
        method: type[Any] = getattr(importlib.import_module(self.module), self.class_name)
        return method


def read_entry(path: Path, module: str) -> Entry:
    """What the file at `path`, the module of that name, says of its method or task."""
    tree = _parsed(str(path))
    summary, notes = record(ast.get_docstring(tree) or "")
    method = _method_class(tree, path)
    return Entry(
        name=plain_name(path.stem),
        family=plain_name(path.parent.name),
        summary=summary,
        notes=notes,
        parameters=tuple(_parameters(method, _aliases(tree))),
        module=module,
        class_name=method.name,
        path=path,
        line=method.lineno,
        constants=dict(_constants(method)),
    )


def docstring(path: str) -> str:
    """The docstring of the file at `path`."""
    return ast.get_docstring(_parsed(path)) or ""


def _parsed(path: str) -> ast.Module:
    try:
        return ast.parse(text_of(path))
    except (SyntaxError, ValueError) as error:
        raise unreadable(path, error) from error


def _method_class(tree: ast.Module, path: Path) -> ast.ClassDef:
    public = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    if len(public) != 1:
        raise DamagedFileError(
            f"{path} has {len(public)} public classes; the file of a method or task has one",
            "start the names of the others, or of the file, with _",
        )
    return public[0]


def _aliases(tree: ast.Module) -> dict[str, ast.expr]:
    """What names assigned in the module stand for, such as a Literal of its own."""
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _parameters(method: ast.ClassDef, aliases: dict[str, ast.expr]) -> Iterator[Parameter]:
    for node, after in zip(method.body, [*method.body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if _is_constant(node):
            continue
        default = _default(node.value) if node.value else ""
        described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        text = str(after.value.value) if described else ""  # type: ignore[attr-defined]
        limits = _limits(node.annotation, aliases)
        yield Parameter(node.target.id, limits, default, " ".join(text.split()))


def _is_constant(node: ast.AnnAssign) -> bool:
    return ast.unparse(node.annotation).startswith("ClassVar")


def _constants(method: ast.ClassDef) -> Iterator[tuple[str, object]]:
    """Values of the class itself, where they are written out."""
    for node in method.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                if _is_constant(node):
                    yield name, value


def _default(node: ast.expr) -> str:
    try:
        return spelling.written(ast.literal_eval(node))
    except ValueError:  # an expression, such as 1 << 10
        return ast.unparse(node)


def _limits(node: ast.expr, aliases: dict[str, ast.expr]) -> str:
    """The values of a type in words; its source text where that says it best."""
    match node:
        case ast.Name(id=name) if name in aliases:
            return _limits(aliases[name], {})
        case ast.Name(id=name):
            notes = getattr(getattr(parameters, name, None), "__metadata__", None)
            return parameters.in_words(notes[0]) if notes else _PLAIN.get(name, name)
        case ast.Constant(value=None):
            return "none"
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{_limits(left, aliases)}, or {_limits(right, aliases)}"
        case ast.Subscript(
            value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, ast.Call() as limit])
        ):
            return _range(limit) or _limits(kind, aliases)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=options):
            values = options.elts if isinstance(options, ast.Tuple) else [options]
            return " or ".join(str(ast.literal_eval(value)) for value in values)
    return ast.unparse(node)


def _range(limit: ast.Call) -> str:
    """A range in words; empty where its ends are not written out."""
    kind = _RANGES.get(ast.unparse(limit.func))
    try:
        ends = [ast.literal_eval(end) for end in limit.args]
    except ValueError:
        return ""
    return parameters.in_words(kind(*ends)) if kind and len(ends) == 2 else ""


_RANGES = {"Range": parameters.Range, "Whole": parameters.Whole, "Odd": parameters.Odd}
_PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}

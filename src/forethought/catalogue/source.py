"""Entries of methods and tasks, parsed from source without import."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from forethought.catalogue.places import record, text_of, unreadable
from forethought.contracts import parameters, spelling
from forethought.contracts.errors import DamagedFileError
from forethought.contracts.names import plain_name
from forethought.contracts.sources import source_of


@dataclass(frozen=True)
class Parameter:
    """One setting of a method or task."""

    name: str
    limits: str
    """Allowed values, in words."""
    default: str
    """Default as spelled in a recipe; empty if there is none."""
    help: str


@dataclass(frozen=True)
class Entry:
    """The record of a method or task."""

    name: str
    family: str
    summary: str
    notes: dict[str, str]
    """Notes of the docstring by heading, such as Paper, Exact and Cost."""
    parameters: tuple[Parameter, ...]
    module: str
    class_name: str
    path: Path
    line: int
    """Line of the class in the file at `path`."""
    published: str = ""
    """One of `contracts.sources.SOURCES`; empty if its note `Published:` states none."""
    constants: dict[str, object] = field(default_factory=dict)
    """Class-level constants, such as whether a strategy needs a scorer."""

    def has(self, parameter: str) -> bool:
        """Whether it has this parameter."""
        return any(one.name == parameter for one in self.parameters)

    def document(self) -> dict[str, Any]:
        """The entry as plain JSON values."""
        told = asdict(self) | {"path": str(self.path)}
        return {name: value for name, value in told.items() if name != "constants"}

    def load(self) -> type[Any]:
        """Import and return the class."""
        method: type[Any] = getattr(importlib.import_module(self.module), self.class_name)
        return method


def read_entry(path: Path, module: str) -> Entry:
    """Parse the entry that the file at `path`, the module `module`, declares."""
    source = _Source(path, module, _parsed(str(path)))
    summary, notes = record(ast.get_docstring(source.tree) or "")
    method = _method_class(source.tree, path)
    first, last = _parameters(method, source)
    return Entry(
        name=plain_name(path.stem),
        family=plain_name(path.parent.name),
        summary=summary,
        notes=notes,
        parameters=(*first, *last),
        module=module,
        class_name=method.name,
        path=path,
        line=method.lineno,
        published=source_of(notes.get("Published", "")),
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


@dataclass(frozen=True)
class _Source:
    """A module, read as text."""

    path: Path
    module: str
    tree: ast.Module

    def aliases(self) -> dict[str, ast.expr]:
        """The values of names that the module assigns, such as a Literal of its own."""
        return {
            node.targets[0].id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

    def bases(self, node: ast.ClassDef) -> Iterator[tuple[ast.ClassDef, _Source]]:
        """Base classes in this file, or imported from a file whose name starts with _."""
        names = [base.id for base in node.bases if isinstance(base, ast.Name)]
        for name in names:
            source, own_name = self._imported().get(name, (self, name))
            for other in source.tree.body:
                if isinstance(other, ast.ClassDef) and other.name == own_name:
                    yield other, source

    def _imported(self) -> dict[str, tuple[_Source, str]]:
        """By name here, what is imported from private modules: the module and the name there."""
        found: dict[str, tuple[_Source, str]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom):
                named = "." * node.level + (node.module or "")
                module = resolve_name(named, self.module.rpartition(".")[0])
                path = self._path_of(module)
                if module.rpartition(".")[2].startswith("_") and path:
                    source = _private(path, module)
                    found |= {one.asname or one.name: (source, one.name) for one in node.names}
        return found

    def _path_of(self, module: str) -> Path | None:
        """The file of a module of the same package or of this one."""
        for known, path in ((self.module, self.path), (__name__, Path(__file__))):
            home = path.parents[known.count(".")]
            file = home.joinpath(*module.split(".")).with_suffix(".py")
            if file.is_file():
                return file
        return None


@cache  # many methods of a family derive from one
def _private(path: Path, module: str) -> _Source:
    return _Source(path, module, _parsed(str(path)))


def _parameters(node: ast.ClassDef, source: _Source) -> tuple[list[Parameter], list[Parameter]]:
    """Positional and keyword-only parameters of a class and its bases.

    The order is that of `parameters.settings_of`.
    """
    first, last = _own_parameters(node, source.aliases())
    for base, home in source.bases(node):
        known = {one.name for one in [*first, *last]}
        before, behind = _parameters(base, home)
        first = [*(one for one in before if one.name not in known), *first]
        last += [one for one in behind if one.name not in known]
    return first, last


def _own_parameters(
    method: ast.ClassDef, aliases: dict[str, ast.expr]
) -> tuple[list[Parameter], list[Parameter]]:
    first: list[Parameter] = []
    last: list[Parameter] = []
    found = first
    for node, after in zip(method.body, [*method.body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if _is_constant(node):
            continue
        if ast.unparse(node.annotation) == "KW_ONLY":
            found = last
            continue
        default = _default(node.value) if node.value else ""
        described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        text = str(after.value.value) if described else ""  # type: ignore[attr-defined]
        limits = _limits(node.annotation, aliases)
        found.append(Parameter(node.target.id, limits, default, " ".join(text.split())))
    return first, last


def _is_constant(node: ast.AnnAssign) -> bool:
    return ast.unparse(node.annotation).startswith("ClassVar")


def _constants(method: ast.ClassDef) -> Iterator[tuple[str, object]]:
    """Class constants with a literal value."""
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
    """The values of a type in words, or else its source text."""
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
    """A range in words; empty if its ends are not literals."""
    kind = _RANGES.get(ast.unparse(limit.func))
    try:
        ends = [ast.literal_eval(end) for end in limit.args]
    except ValueError:
        return ""
    whole = kind and len(ends) == len(fields(kind))
    return parameters.in_words(kind(*ends)) if kind and whole else ""


_RANGES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (parameters.Range, parameters.Whole, parameters.Odd, parameters.FileIn)
}
_PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}

"""Finds methods and tasks by name: the folders under methods/ and tasks/ are the registry.

File name = name of the method, folder = family, the file's one public class = the method, and
the file's docstring is its record: a summary, then notes such as `Paper:`. Listing reads
source text and imports no method; building imports exactly the one module that was named.
Other packages join by an entry point of the group `forethought.methods` or
`forethought.tasks`, whose value names a package with the same folders. A file whose name
starts with _ is not listed.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from forethought.contracts import parameters, spelling
from forethought.contracts.errors import (
    BadParameterError,
    DamagedFileError,
    UnknownNameError,
    UsageError,
)

Kind = Literal["methods", "tasks"]
"""What is looked for; the folder's name, and the end of the entry points' group."""


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

    def load(self) -> type[Any]:
        """The class itself, imported now."""
        method: type[Any] = getattr(importlib.import_module(self.module), self.class_name)
        return method


@dataclass(frozen=True)
class Place:
    """A package whose folders are families of methods or tasks."""

    package: str
    folder: Path

    def entries(self) -> Iterator[Entry]:
        """Everything in its folders, in order of family and name."""
        for path in sorted(self.folder.glob("[!_]*/[!_]*.py")):
            yield _entry(path, f"{self.package}.{path.parent.name}.{path.stem}")


@cache
def entries(kind: Kind = "methods") -> dict[str, Entry]:
    """Every method, or task, by name, those of this package first."""
    own = Place(f"forethought.{kind}", Path(__file__).parent / kind)
    return catalogued([own, *_other_places(kind)], kind)


def catalogued(places: list[Place], kind: Kind = "methods") -> dict[str, Entry]:
    """The methods of these places by name; two of one name are an error."""
    found: dict[str, Entry] = {}
    for entry in (entry for place in places for entry in place.entries()):
        if entry.name in found:
            raise UsageError(
                f"two {kind} are called {entry.name!r}: {found[entry.name].path} and {entry.path}",
                "rename one, or uninstall the package it comes from",
            )
        found[entry.name] = entry
    return found


def families(kind: Kind = "methods") -> dict[str, list[Entry]]:
    """The methods of each family, both in order of name."""
    grouped: dict[str, list[Entry]] = {}
    for entry in sorted(entries(kind).values(), key=lambda entry: (entry.family, entry.name)):
        grouped.setdefault(entry.family, []).append(entry)
    return grouped


def find(name: str, kind: Kind = "methods") -> Entry:
    """The entry called `name`, or an error that suggests its neighbours."""
    known = entries(kind)
    if _plain(name) not in known:
        raise UnknownNameError.among(kind.removesuffix("s"), name, known)
    return known[_plain(name)]


def build(text: str, kind: Kind = "methods") -> Any:
    """A method from its spelling, such as `specpc(keep=512, reduction=mean)`."""
    call = spelling.parse(text)
    return _built(find(call.name, kind), call.settings)


def expand(text: str, kind: Kind = "tasks") -> dict[str, Any]:
    """What `text` spells, by shortest spelling; a family's name stands for all of its members.

    `ruler(tokens=4000)` gives every task of that family with that setting.
    """
    call = spelling.parse(text)
    known, grouped = entries(kind), families(kind)
    if _plain(call.name) not in known.keys() | grouped.keys():
        raise UnknownNameError.among(kind.removesuffix("s"), call.name, [*grouped, *known])
    single = known.get(_plain(call.name))
    members = [single] if single else grouped[_plain(call.name)]
    built = [_built(entry, call.settings) for entry in members]
    return {spelled(item): item for item in built}


def spelled(method: Any) -> str:
    """The shortest spelling of a method or task: only what differs from its defaults."""
    values = {item.name: getattr(method, item.name) for item in fields(method)}
    # By repr, since keep=1 (one entry) and keep=1.0 (all of them) are equal as numbers.
    changed = {
        item.name: values[item.name]
        for item in fields(method)
        if item.default is MISSING or repr(item.default) != repr(values[item.name])
    }
    return str(spelling.Call(_name(type(method).__module__.rpartition(".")[2]), changed))


def spelled_open(task: Any) -> str:
    """A task's spelling without how many of its questions are asked, or what is left out.

    More questions keep the first ones, so that they go by the same name.
    """
    left = {f.name: f.default for f in fields(task) if f.name in ("count", "skip_bad")}
    return spelled(replace(task, **left))


def _built(entry: Entry, settings: dict[str, Any]) -> Any:
    for parameter in entry.parameters:
        if not parameter.default and parameter.name not in settings:
            raise BadParameterError(
                f"{entry.name} needs {parameter.name}: {parameter.help}",
                f"give it: {entry.name}({parameter.name}=...)",
            )
    return parameters.checked(entry.load(), settings)


def _other_places(kind: Kind) -> Iterator[Place]:
    for point in metadata.entry_points(group=f"forethought.{kind}"):
        # Only the topmost package is looked up: finding a deeper one would import its parents.
        top, *below = point.value.split(".")
        spec = util.find_spec(top)
        for folder in (spec and spec.submodule_search_locations) or []:
            yield Place(point.value, Path(folder).joinpath(*below))


def _name(file_name: str) -> str:
    return file_name.replace("_", "-")


def _plain(name: str) -> str:
    return _name(name.strip().lower())


def _entry(path: Path, module: str) -> Entry:
    tree = _parsed(path)
    summary, notes = _record(ast.get_docstring(tree) or "")
    method = _method_class(tree, path)
    return Entry(
        name=_name(path.stem),
        family=_name(path.parent.name),
        summary=summary,
        notes=notes,
        parameters=tuple(_parameters(method, _aliases(tree))),
        module=module,
        class_name=method.name,
        path=path,
        line=method.lineno,
    )


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise DamagedFileError(
            f"{path} is not readable as Python: {error}", "mend it, or rename it to start with _"
        ) from error


def _method_class(tree: ast.Module, path: Path) -> ast.ClassDef:
    public = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    if len(public) != 1:
        raise DamagedFileError(
            f"{path} has {len(public)} public classes; the file of a method or task has one",
            "start the names of the others, or of the file, with _",
        )
    return public[0]


def _record(docstring: str) -> tuple[str, dict[str, str]]:
    """The summary and the notes after it; a note runs on until the next one or a blank line."""
    notes: dict[str, str] = {}
    key = "summary"
    for line in (line.strip() for line in docstring.splitlines()):
        started = re.match(r"([A-Z][a-z]+): (.*)", line) if notes else None
        if started:
            key, line = started[1], started[2]
        elif not line:
            key = ""
        if key:
            notes[key] = f"{notes[key]} {line}" if key in notes else line
    return notes.pop("summary", ""), notes


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
        default = _default(node.value) if node.value else ""
        described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        text = str(after.value.value) if described else ""  # type: ignore[attr-defined]
        limits = _limits(node.annotation, aliases)
        yield Parameter(node.target.id, limits, default, " ".join(text.split()))


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
            value=ast.Name(id="Annotated"),
            slice=ast.Tuple(
                elts=[_, ast.Call(func=ast.Name(id="Range"), args=[ast.Constant(), ast.Constant()])]
            ),
        ):
            low, high = (end.value for end in node.slice.elts[1].args)  # type: ignore[attr-defined]
            return parameters.in_words(parameters.Range(low, high))
        case ast.Subscript(value=ast.Name(id="Literal"), slice=options):
            values = options.elts if isinstance(options, ast.Tuple) else [options]
            return " or ".join(str(ast.literal_eval(value)) for value in values)
    return ast.unparse(node)


_PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}

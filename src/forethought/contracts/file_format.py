"""JSON files of this package with a header: their kind and their version."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from forethought.contracts.errors import BadDataError

T = TypeVar("T")


@dataclass(frozen=True)
class FileFormat:
    """The header of a kind of file, and the words of its errors."""

    kind: str
    version: int
    problem: str
    """What another file is told, such as "is not a difficulty plan"."""
    hint: str
    """The command that makes such a file."""

    def text(self, content: Mapping[str, Any]) -> str:
        """The text of a file with this content."""
        return json.dumps({"kind": self.kind, "version": self.version, **content}, indent=2) + "\n"

    def read(self, text: str, where: str, build: Callable[[dict[str, Any]], T]) -> T:
        """What `build` makes of a file's content; raises BadDataError for another file.

        `where` names the file. A KeyError, TypeError or ValueError of `build` is a bad field.
        """
        try:
            held = json.loads(text)
        except ValueError as error:
            raise self.error(where, f"it is not JSON: {error}") from error
        if not isinstance(held, dict) or held.get("kind") != self.kind:
            raise self.error(where, f"its kind is not {self.kind!r}")
        if held.get("version") != self.version:
            found = held.get("version")
            raise self.error(where, f"its version is {found!r}, and {self.version} is known")
        try:
            return build(held)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"a field is missing or has the wrong type: {error!r}"
            raise self.error(where, reason) from error

    def error(self, where: str, why: str) -> BadDataError:
        """The error of a file that is not of this kind."""
        return BadDataError(f"{where} {self.problem}: {why}", self.hint)

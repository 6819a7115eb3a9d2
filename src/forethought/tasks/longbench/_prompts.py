"""Prompts of data sets: this project's own, or those of a file in the published format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from forethought.contracts.errors import BadDataError
from forethought.tasks.files import content_of
from forethought.tasks.rows import shortened

_HINT = "give a JSON object of prompts with {context} and {input}, such as dataset2prompt.json"


@dataclass(frozen=True)
class PromptForm:
    """The text before the document, and the text after it."""

    before: str
    after: str

    def document(self, context: str) -> str:
        """The document with the text before it."""
        return self.before + context

    def question(self, given: str) -> str:
        """The text after the document, with the input; blank lines precede it anyway."""
        return self.after.format(input=given).lstrip("\n")


def prompts(path: str) -> Mapping[str, PromptForm]:
    """The prompts of a file, by data set."""
    try:
        read = json.loads(content_of(path, _HINT))
    except (ValueError, RecursionError) as error:
        raise BadDataError(f"{path} is not JSON: {error}", _HINT) from error
    if not isinstance(read, dict):
        raise BadDataError(f"{path} is {shortened(read)}, not a JSON object", _HINT)
    return {name: _prompt(path, name, template) for name, template in read.items()}


def _prompt(path: str, name: str, template: object) -> PromptForm:
    named = f"the prompt of {name!r} in {path}"
    if not isinstance(template, str) or template.count("{context}") != 1:
        raise BadDataError(f"{named} is {shortened(template)}, without one {{context}}", _HINT)
    before, _, after = template.partition("{context}")
    try:
        if {field for _, field, _, _ in Formatter().parse(before) if field is not None}:
            raise BadDataError(f"{named} has a placeholder before {{context}}", _HINT)
        after.format(input="")
        return PromptForm(before.format(), after)
    except (ValueError, LookupError, AttributeError) as error:
        raise BadDataError(f"{named} has a wrong placeholder: {error}", _HINT) from error

"""Compresses retrieved documents for a query, whatever framework has retrieved them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from forethought import catalogue
from forethought.contracts import spelling
from forethought.contracts.errors import BudgetTooSmallError, UsageError
from forethought.contracts.parameters import entries_kept
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from forethought.sessions.session import Session

_JOINT = "\n\n"


class CompressedDocument(NamedTuple):
    """The kept text of a document."""

    text: str
    kept: int
    """Tokens of the document that stay."""
    of: int
    """Tokens of the whole document."""
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the document's tokens that stay."""
        return self.kept / self.of if self.of else 1.0


@dataclass
class DocumentCompressor:
    """A prompt compression method with its models, which load once, at the first query.

    `keep` counts the document's own tokens, so that its share does not depend on the query's
    length. Calls from several threads take turns.
    """

    model: str = "smollm2"
    """Counts the tokens, and is its own draft if no other is named."""
    draft: str = "self"
    method: str = "specpc-shallow(window=16, kernel=8)"
    """Spelling of a prompt compression method that leaves its keep open.

    The default suits passages of a retriever, of a hundred tokens or so: the default window of 64
    tokens always keeps the end of a prompt, which is half of such a passage.
    """
    keep: float | int = 0.5
    """Share of a document's tokens that stays, or their number."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if "keep" in spelling.parse(self.method).settings:
            raise UsageError(
                f"{self.method} states its own budget", "leave its keep out, and set `keep`"
            )
        if isinstance(self.keep, str):
            raise UsageError(f"keep is {self.keep!r}", "give a share such as 0.5, or a number")
        self._recipe(self.keep)

    def compress(self, query: str, documents: Sequence[str]) -> list[CompressedDocument]:
        """Each document shortened for the query; one that is too short to cut stays whole."""
        with self._lock:
            return [self._compressed(query.strip(), document) for document in documents]

    @cached_property
    def _session(self) -> Session:
        # Imported late: a framework lists its adapters without running a model.
        from forethought.sessions.compress import check_compresses
        from forethought.sessions.session import Session

        recipe = self._recipe(self.keep)
        check_compresses(recipe)
        return Session.open(recipe)

    def _recipe(self, keep: float | int) -> Recipe:
        call = spelling.parse(self.method)
        method = str(spelling.Call(call.name, {**call.settings, "keep": keep}))
        catalogue.build(method)  # an unknown name or a wrong value is an error before any load
        return Recipe(model=self.model, draft=self.draft, approximate=(method,))

    def _compressed(self, query: str, document: str) -> CompressedDocument:
        if not document.strip():
            return CompressedDocument(document, 0, 0)
        from forethought.models.chat.prompt import chat_prompt
        from forethought.sessions.compress import compress_with
        from forethought.sessions.session import built_methods

        target = self._session.target
        prompt = chat_prompt(target.tokenizer, target.template, query, document)
        always = len(prompt.protected)
        of = len(prompt) - always
        recipe = self._recipe(always + entries_kept(self.keep, of))
        session = replace(self._session, recipe=recipe, methods=built_methods(recipe))
        try:
            found = compress_with(session, query, document)
        except BudgetTooSmallError as error:
            return CompressedDocument(document, of, of, (error.message,))
        kept = found.document["kept"]["prompt_tokens"] - always
        text = found.text.removesuffix(f"{_JOINT}{query}")
        return CompressedDocument(text, kept, of, tuple(found.document["notes"]))

"""One question or one conversation: the calls behind the command line and the package."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from forethought.backends.openai.recipe_check import check_priced
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Event
from forethought.cost.prices import prices_of
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.conversation import Conversation
from forethought.sessions.measurements import stored_samples
from forethought.sessions.session import Progress, Session
from forethought.sessions.spend import spending
from forethought.storage.location import timings_file


def stream(
    recipe: Recipe | str,
    question: str,
    document: str = "",
    *,
    system: str | None = None,
    prices: Sequence[str] = (),
    spend: str = "",
    value: str = "",
    penalty: float | None = None,
    progress: Progress | None = None,
) -> Generator[Event, None, None]:
    """Load the recipe's models and answer one question; yields events.

    The last event is `done` and holds the run's document. A KeyboardInterrupt, raised inside or
    thrown in, ends the run with the text so far. `prices`, `spend`, `value` and
    `penalty` are values of --price, --spend, --value and --penalty.
    """
    for name, text in (("question", question), ("document", document)):
        if not isinstance(text, str):
            raise UsageError(f"the {name} is of type {type(text).__name__}", "it must be a text")
    if not isinstance(recipe, Recipe | str):
        raise UsageError(f"{recipe!r} is no recipe", "give a Recipe, or a spelling of one")
    chosen = Recipe.parse(recipe) if isinstance(recipe, str) else recipe
    if spend or value or penalty:
        chosen = spending(chosen, spend, value=value, penalty=penalty, samples=stored_samples())
    paid = prices_of(prices)
    check_priced([chosen], paid)
    if is_remote(chosen.model):
        # Imported here: the client is slow to import, and few questions need it.
        from forethought.sessions.remote_session import RemoteSession

        remote = RemoteSession(chosen, prices=paid, progress=progress)
        yield from remote.stream(question, document, system=system)
    else:
        session = Session.open(chosen, progress, prices=paid, timings=timings_file())
        yield from session.stream(question, document, system=system)


def conversation(
    recipe: Recipe | str = "smollm2",
    document: str = "",
    *,
    system: str | None = None,
    progress: Progress | None = None,
) -> Conversation:
    """Load the recipe's models for a conversation of several questions."""
    chosen = Recipe.parse(recipe) if isinstance(recipe, str) else recipe
    if is_remote(chosen.model):
        raise UsageError(
            "a conversation needs the KV cache of a model on this machine", "ask one question"
        )
    return Conversation(Session.open(chosen, progress), document, system)


def ask(
    question: str,
    recipe: Recipe | str = "smollm2",
    *,
    document: str = "",
    system: str | None = None,
    prices: Sequence[str] = (),
    spend: str = "",
    value: str = "",
    penalty: float | None = None,
) -> dict[str, Any]:
    """The document of one run; `recipe` may be a spelling such as "smollm2+bm25(keep=512)"."""
    *_, done = stream(
        recipe,
        question,
        document,
        system=system,
        prices=prices,
        spend=spend,
        value=value,
        penalty=penalty,
    )
    document_of_run: dict[str, Any] = done.data["run"]
    return document_of_run

"""Batches of questions for models on servers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.protocol import Capabilities, CompletionParams
from forethought.backends.openai.recipe_check import check_remote, params_of
from forethought.cost.prices import Price, price_of
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.recipes.identity import PRICE, SERVED, SERVER
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch_jobs import run_batch, without_seed
from forethought.sessions.batch_question import BatchAnswer, BatchQuestion, Refuse
from forethought.storage.replay_log import ReplayLog


@dataclass
class Servers:
    """Connections to servers; each is probed once and stays open until closed."""

    clock: Clock = time.perf_counter
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model name; under "" the price of all other models."""
    patience: Patience = field(default_factory=Patience)
    _open: dict[tuple[str, CompletionParams], OpenAIBackend] = field(default_factory=dict)
    """By address and sampling parameters."""
    _found: dict[Endpoint, Capabilities] = field(default_factory=dict)
    _judges: dict[str, Judges] = field(default_factory=dict)
    """By the address of the server that they judge."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe with a canonical server address and the model's name.

        Raises UsageError for a recipe that no server can run, and RemoteError if the server must
        name its model and cannot be reached.
        """
        place = Endpoint.parse(recipe.model)
        named = self._server(recipe).model
        return replace(recipe, model=f"{place.base}#{named}")

    def answers(
        self,
        questions: Mapping[int, BatchQuestion],
        replay_log: ReplayLog | None,
        refuse: Refuse | None = None,
    ) -> Iterator[BatchAnswer]:
        """The answers of one recipe after the other; the questions of a recipe run together.

        One after the other, because the replay log serves requests that an earlier recipe made.
        """
        for recipe in dict.fromkeys(
            without_seed(question.recipe) for question in questions.values()
        ):
            server = self._server(recipe)
            server.check_limits(recipe.limit.kinds)
            made = self._provenance(server)
            some = {
                place: question
                for place, question in questions.items()
                if without_seed(question.recipe) == recipe
            }
            judges = self.judges(server.endpoint.base)
            for one in run_batch(some, server, replay_log, judges, refuse=refuse):
                yield replace(one, made=made)

    def judges(self, own: str = "") -> Judges:
        """The judges for answers of the server `own`, or of models on this machine."""
        if own not in self._judges:
            self._judges[own] = Judges(self.prices, own, self.patience)
        return self._judges[own]

    def close(self) -> None:
        """Close all connections."""
        for judges in self._judges.values():
            judges.close()
        for server in self._open.values():
            server.close()
        self._open.clear()

    def _server(self, recipe: Recipe) -> OpenAIBackend:
        check_remote(recipe)
        key = (recipe.model, params_of(recipe))
        if key not in self._open:
            self._open[key] = OpenAIBackend(
                Endpoint.parse(recipe.model),
                key[1],
                prices=self.prices,
                patience=self.patience,
                clock=self.clock,
            )
        return self._open[key]

    def _provenance(self, server: OpenAIBackend) -> dict[str, str]:
        """Facts on the server for the provenance of samples; the server is probed once."""
        place = server.endpoint
        server.known_capabilities = self._found.get(place) or server.capabilities
        self._found[place] = server.known_capabilities
        price = price_of(self.prices, server.model)
        facts = {
            SERVER: place.base,
            SERVED: server.capabilities.served,
            PRICE: "" if price is None else str(price),
        }
        return {name: text for name, text in facts.items() if text}

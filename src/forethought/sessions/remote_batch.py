"""Recipes whose models answer on servers, among many that are asked at once."""

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
    """Servers, each found out about once and kept until closed."""

    clock: Clock = time.perf_counter
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By name of the model; under "" that of all others."""
    patience: Patience = field(default_factory=Patience)
    _open: dict[tuple[str, CompletionParams], OpenAIBackend] = field(default_factory=dict)
    """By address, and the way in which answers are drawn."""
    _found: dict[Endpoint, Capabilities] = field(default_factory=dict)
    _judges: dict[str, Judges] = field(default_factory=dict)
    """By the server whose answers they judge."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe with one spelling of its server, and its model by name.

        Raises UsageError for what a server cannot do, and RemoteError where it has to be asked
        which model it has and cannot be reached.
        """
        place = Endpoint.parse(recipe.model)
        named = self._server(recipe).model
        return replace(recipe, model=f"{place.base}#{named}")

    def answered(
        self,
        questions: Mapping[int, BatchQuestion],
        replay_log: ReplayLog | None,
        refuse: Refuse | None = None,
    ) -> Iterator[BatchAnswer]:
        """The answers, by place: of one recipe after the other, its questions together.

        Not of all recipes together, as what one was given another finds in the replay log.
        """
        for recipe in dict.fromkeys(
            without_seed(question.recipe) for question in questions.values()
        ):
            server = self._server(recipe)
            server.check_limits(recipe.limit.kinds)
            made = self._made(server)
            some = {
                place: question
                for place, question in questions.items()
                if without_seed(question.recipe) == recipe
            }
            judges = self.judges(server.endpoint.base)
            for one in run_batch(some, server, replay_log, self.clock, judges, refuse=refuse):
                yield replace(one, made=made)

    def judges(self, own: str = "") -> Judges:
        """Those that judge what the server `own` writes, or models that run here."""
        if own not in self._judges:
            self._judges[own] = Judges(self.prices, own, self.patience)
        return self._judges[own]

    def close(self) -> None:
        """End all connections."""
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

    def _made(self, server: OpenAIBackend) -> dict[str, str]:
        """What is told of the server in the provenance of samples; found out once."""
        place = server.endpoint
        server.known_capabilities = self._found.get(place) or server.capabilities
        self._found[place] = server.known_capabilities
        price = price_of(self.prices, server.model)
        told = {
            SERVER: place.base,
            SERVED: server.capabilities.served,
            PRICE: "" if price is None else str(price),
        }
        return {name: text for name, text in told.items() if text}

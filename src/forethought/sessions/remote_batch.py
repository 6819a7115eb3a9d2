"""Batches of questions for models on servers."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint, Patience, endpoints_of, spelled
from forethought.backends.openai.protocol import Capabilities
from forethought.backends.openai.recipe_check import check_remote, params_of, stand_in
from forethought.cost.prices import Price, price_of
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.models.load import load as load_model
from forethought.models.model import Model
from forethought.prefill.draft_model import DraftResults
from forethought.recipes.identity import PRICE, SERVED, SERVER
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch_jobs import run_batch, without_seed
from forethought.sessions.batch_question import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.remote_compression import Loader, compression_of
from forethought.storage.replay_log import ReplayLog


def _load(name: str, weights: str) -> Model:
    return load_model(name, weights=weights)


@dataclass
class Servers:
    """Connections to servers; each is probed once and stays open until closed."""

    clock: Clock = time.perf_counter
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model name; under "" the price of all other models."""
    patience: Patience = field(default_factory=Patience)
    only: str = ""
    """The one server of each pool to ask; empty for all of them."""
    _open: dict[Hashable, OpenAIBackend] = field(default_factory=dict)
    """By address, sampling parameters, methods and draft."""
    _probed: dict[str, dict[Endpoint, Capabilities]] = field(default_factory=dict)
    """By the local model that counts tokens, if any."""
    _judges: dict[tuple[str, ...], Judges] = field(default_factory=dict)
    """By the addresses of the servers that they judge."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe with a canonical server address and the model's name.

        Raises UsageError for a recipe that no server can run, and RemoteError if the server must
        name its model and cannot be reached.
        """
        places = endpoints_of(recipe.model)
        return replace(recipe, model=spelled(places, self._server(recipe).model))

    def answers(
        self,
        questions: Mapping[int, BatchQuestion],
        replay_log: ReplayLog | None,
        refuse: Refuse | None = None,
        load: Loader = _load,
    ) -> Iterator[BatchAnswer]:
        """The answers of one recipe after the other; the questions of a recipe run together.

        One after the other, because the replay log serves requests that an earlier recipe made.
        Recipes with one draft share its results. `load` loads drafts.
        """
        results: DraftResults = {}
        for recipe in dict.fromkeys(
            without_seed(question.recipe) for question in questions.values()
        ):
            server = self._server(recipe)
            server.check_limits(recipe.limit.kinds)
            server.compression = compression_of(recipe, load, self.clock, results=results)
            made = self._provenance(server, recipe)
            some = {
                place: question
                for place, question in questions.items()
                if without_seed(question.recipe) == recipe
            }
            judges = self.judges(tuple(one.base for one in server.endpoints))
            for one in run_batch(some, server, replay_log, judges, refuse=refuse):
                yield replace(one, made=made)

    def judges(self, own: tuple[str, ...] = ()) -> Judges:
        """The judges for answers of the servers `own`, or of models on this machine."""
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
        params = params_of(recipe)
        key = (recipe.model, params, recipe.approximate, recipe.draft)
        if key not in self._open:
            places = endpoints_of(recipe.model)
            place, *replicas = [one for one in places if one.base == self.only] or places
            counting = stand_in(recipe) if recipe.approximate else ""
            self._open[key] = OpenAIBackend(
                place,
                params,
                replicas=tuple(replicas),
                prices=self.prices,
                patience=self.patience,
                clock=self.clock,
                probed=self._probed.setdefault(counting, {}),
            )
        return self._open[key]

    def _provenance(self, server: OpenAIBackend, recipe: Recipe) -> dict[str, str]:
        """Facts on the recipe's servers for the provenance of samples; each is probed once."""
        served = server.capabilities.served
        price = price_of(self.prices, server.model)
        facts = {
            SERVER: ",".join(one.base for one in endpoints_of(recipe.model)),
            SERVED: served,
            PRICE: "" if price is None else str(price),
        }
        return {name: text for name, text in facts.items() if text}

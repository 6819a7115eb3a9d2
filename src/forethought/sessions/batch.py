"""Many recipes and questions at once; recipes that share a prompt share its prefill.

Sharing changes no answer: each recipe gets the tokens, and is charged the cost, of a run alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

from forethought.backends.local.local import LocalBackend
from forethought.backends.local.local_run import LocalRun
from forethought.backends.openai.token_estimate import estimate_tokens
from forethought.contracts.questions import Measure
from forethought.engine.meter import Clock
from forethought.models.load import load
from forethought.models.model import Model
from forethought.prefill.draft_model import DraftResults
from forethought.recipes.recipe import Recipe, is_remote
from forethought.recipes.validation import check_together
from forethought.sessions.batch_jobs import run_batch, run_name, without_seed
from forethought.sessions.batch_question import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.remote_batch import Servers
from forethought.storage.replay_log import ReplayLog

__all__ = ["Answers", "BatchAnswer", "BatchQuestion"]

Loader = Callable[[str, str], Model]
"""(name, weights) to a model."""
AT_ONCE_ON_CPU = 8
"""Answers on a CPU; more gain little on two cores."""
AT_ONCE_ELSEWHERE = 64
"""Answers on a GPU or a server, which have work for all of them."""


class Answers:
    """Answers batches of questions; loads each model once, when first needed."""

    def __init__(
        self,
        loader: Loader | None = None,
        clock: Clock = time.perf_counter,
        servers: Servers | None = None,
    ) -> None:
        self._loader = loader or (lambda name, weights: load(name, weights=weights))
        self._models: dict[tuple[str, str], Model] = {}
        self._clock = clock
        self._servers = servers or Servers(clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections to servers."""
        self._servers.close()

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe under the name of its stored answers.

        Raises UsageError if the models or the server cannot run it, before any model loads.
        """
        check_together(recipe)
        return self._servers.settled(recipe) if is_remote(recipe.model) else recipe

    def model(self, name: str, weights: str) -> Model:
        """A model by its name."""
        if (name, weights) not in self._models:
            self._models[name, weights] = self._loader(name, weights)
        return self._models[name, weights]

    def measure(self, recipe: Recipe) -> Measure:
        """Counts the tokens of texts for a recipe's model; estimates them for a server's model."""
        if is_remote(recipe.model):
            return estimate_tokens
        encode = self.model(recipe.model, recipe.weights).tokenizer.encode
        return lambda text: len(encode(text))

    def at_once(self, recipe: Recipe) -> int:
        """The number of answers that pays to request at once."""
        if is_remote(recipe.model):
            return AT_ONCE_ELSEWHERE
        device = self.model(recipe.model, recipe.weights).network.device
        return AT_ONCE_ON_CPU if device.type == "cpu" else AT_ONCE_ELSEWHERE

    def answer(
        self,
        questions: Sequence[BatchQuestion],
        refuse: Refuse | None = None,
        replay_log: ReplayLog | None = None,
    ) -> Iterator[BatchAnswer]:
        """Answer all questions and yield each answer as soon as it is complete.

        If a prompt does not fit a recipe's budget or context, `refuse` is called and the others are
        answered. Without `refuse`, the first such error is raised before any answer. `replay_log`
        stores the requests of searches.
        """
        for question in questions:
            check_together(question.recipe)
        here = {
            place: question
            for place, question in enumerate(questions)
            if not is_remote(question.recipe.model)
        }
        there = {place: question for place, question in enumerate(questions) if place not in here}
        plain = {place: question for place, question in here.items() if question.recipe.plain}
        if plain:
            yield from self._answered_here(plain, None, refuse)
        searching = {p: question for p, question in here.items() if p not in plain}
        # One recipe after the other: the replay log serves requests that an earlier recipe made.
        for recipe in dict.fromkeys(
            without_seed(question.recipe) for question in searching.values()
        ):
            some = {
                p: question
                for p, question in searching.items()
                if without_seed(question.recipe) == recipe
            }
            yield from self._answered_here(some, replay_log, refuse)
        if there:
            yield from self._servers.answers(there, replay_log, refuse, self.model)

    def _answered_here(
        self,
        questions: Mapping[int, BatchQuestion],
        replay_log: ReplayLog | None,
        refuse: Refuse | None,
    ) -> Iterator[BatchAnswer]:
        """The answers of models on this machine, for any mix of recipes."""
        results: DraftResults = {}
        runs = {
            run_name(question): self._run(question.recipe, results)
            for question in questions.values()
        }
        first = next(iter(questions.values())).recipe
        backend = LocalBackend(first, *self._models_of(first), self._clock)
        backend.runs.update(runs)
        judges = self._servers.judges()
        yield from run_batch(questions, backend, replay_log, judges, runs, refuse)

    def _run(self, recipe: Recipe, results: DraftResults) -> LocalRun:
        models = self._models_of(recipe)
        plain = recipe.plain
        return LocalRun(recipe, *models, self._clock, plain=plain, draft_results=results)

    def _models_of(self, recipe: Recipe) -> tuple[Model, Model]:
        target = self.model(recipe.model, recipe.weights)
        own = recipe.draft == "self"
        return target, target if own else self.model(recipe.draft, recipe.weights)

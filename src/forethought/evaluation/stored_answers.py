"""The stored samples of an evaluation with the questions that they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from forethought.contracts.questions import Sample, Task
from forethought.cost.prices import Price
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.evaluate import Evaluation
from forethought.evaluation.wanted_sample import WantedSample
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch import Answers
from forethought.sessions.remote_batch import Servers
from forethought.storage.store import Store


class StoredAnswer(NamedTuple):
    """A sample, and the recipe, task and question that it belongs to."""

    wanted: WantedSample
    sample: Sample


def stored_answers(
    recipes: Sequence[Recipe],
    tasks: Mapping[str, Task],
    results: Path,
    samples: int = 1,
    prices: Mapping[str, Price] | None = None,
) -> list[StoredAnswer]:
    """What the results file holds of these recipes and tasks, question by question.

    No model answers; lengths of questions are counted by the tokenizer of the first recipe.
    """
    with Answers(servers=Servers(prices=prices or {})) as answers, Store.open(results) as store:
        settled = tuple(dict.fromkeys(map(answers.settled, recipes)))
        asking = Evaluation(settled, tasks, store, LocalCells(answers), {}, samples)
        found = ((one, store.get(one.key)) for one in asking.wanted())
        return [StoredAnswer(one, sample) for one, sample in found if sample is not None]

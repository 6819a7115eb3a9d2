"""The samples of a results file by task, read without a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from forethought.contracts.questions import Sample
from forethought.recipes.recipe import Recipe
from forethought.storage.store import Store


def samples_of_model(
    file: Path, tasks: Sequence[str], model: str, named: Collection[str]
) -> Mapping[str, list[Sample]]:
    """Stored samples by task, of the named recipes or, without names, of all on `model`."""
    found: dict[str, list[Sample]] = {task: [] for task in tasks}
    if not file.exists():
        return found
    with Store.open(file) as store:
        for sample in store.samples(tasks=tasks):
            spelled = sample.run["recipe"]
            if spelled in named if named else Recipe.parse(spelled).model == model:
                found[sample.task].append(sample)
    return found

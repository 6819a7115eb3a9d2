"""The costs of a recipe: what no run has measured is unknown, and never free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from forethought.contracts.comparison import RecipeResult
from forethought.contracts.questions import Sample
from forethought.evaluation.recipe_result import recipe_result, with_frontiers
from forethought.evaluation.task_scores import scores_by_task
from tests.evaluation.stored import candidate, plain, searched

TREE = "smollm2@tim"


def result(samples: Sequence[Sample]) -> RecipeResult:
    name = samples[0].recipe
    return recipe_result(name, scores_by_task(name, samples, ["addition"]), samples)


def own_prompts_alone(sample: Sample) -> Sample:
    """As if the target had not prefilled the question's own prompt."""
    kept = {"prompt_tokens": 0, "of": 0, "cache_bytes": 0}
    return replace(sample, run={**sample.run, "kept": kept})


def test_a_search_with_prompts_of_its_own_has_an_unknown_cache() -> None:
    tree = [searched(q, [candidate(0, "4")], recipe=TREE, score=1.0) for q in "ab"]
    both = result(tree), result([tree[0], own_prompts_alone(tree[1])])

    assert both[0].cache_bytes == 1
    assert math.isnan(both[1].cache_bytes)
    assert both[0].flops == both[1].flops > 0


def test_an_unknown_cache_is_no_cheapest_one() -> None:
    exact = result([plain(q, "4", 1.0) for q in "ab"])
    tree = result([own_prompts_alone(searched(q, [], recipe=TREE, score=1.0)) for q in "ab"])

    first, second = with_frontiers([exact, tree])

    assert "cache_bytes" in first.frontier
    assert "cache_bytes" not in second.frontier

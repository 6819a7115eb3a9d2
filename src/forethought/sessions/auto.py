"""`-x auto`: chooses methods and budgets for a prompt from stored comparisons and FLOPs.

A recipe that was compared with the exact run of the same model is eligible if its loss is known to
be small. Of the eligible recipes, the one with the fewest FLOPs for this prompt wins. Without a
stored comparison, FLOPs alone decide whether the default pays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forethought import catalogue
from forethought.contracts.comparison import Interval
from forethought.contracts.questions import Sample
from forethought.contracts.records import Prompt
from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import paired_interval
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.plan import total_prefill_flops
from forethought.recipes.recipe import Recipe

DEFAULT = "specpc-shallow(keep=0.25)"
"""The method without a stored comparison, if its draft pays."""
LOSS = 0.1
"""The maximum loss of a score from 0 to 1, by the lower end of its interval."""
LEAST_SAVED = 1.5
"""The minimum ratio of FLOPs to the exact run's; below it, the exact run is the choice."""
LEAST_TOKENS = 1024
_SPREAD = 2.0  # comparisons count for prompts up to this many times longer or shorter


@dataclass(frozen=True)
class AutoChoice:
    """The chosen methods, and the reason in one line."""

    methods: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Evidence:
    """A recipe's difference to the exact run of its model, on prompts of similar length."""

    methods: tuple[str, ...]
    difference: Interval
    questions: int


def choose(
    recipe: Recipe, prompt: Prompt, draft: ModelDraft, samples: Sequence[Sample]
) -> AutoChoice:
    """The methods for a prompt; none if the exact run is the best choice."""
    length = len(prompt)
    if length < LEAST_TOKENS:
        return AutoChoice((), f"exact: the prefill of {length:,} tokens is short as it is")
    known = compared_with_exact(recipe, samples, length)
    exact = total_prefill_flops([], length, draft)
    if not known:
        return _unmeasured(recipe, length, draft, exact)
    good = [one for one in known if one.difference.low >= -LOSS]
    saved = {one.methods: exact / _flops(one.methods, length, draft) for one in good}
    best = max(good, key=lambda one: saved[one.methods], default=None)
    if best is None or saved[best.methods] < LEAST_SAVED:
        count = len(known)
        return AutoChoice((), f"exact: of {count} stored comparisons none is as good and cheaper")
    points, low, high = (100 * getattr(best.difference, n) for n in ("value", "low", "high"))
    return AutoChoice(
        best.methods,
        f"{' + '.join(best.methods)}: {saved[best.methods]:.2g} times less to compute for this "
        f"prompt, {points:+.1f} points beside exact on {best.questions} stored questions "
        f"(95 %: {low:+.1f} to {high:+.1f})",
    )


def _unmeasured(recipe: Recipe, length: int, draft: ModelDraft, exact: float) -> AutoChoice:
    saved = exact / _flops((DEFAULT,), length, draft)
    unknown = f"no comparison of {recipe.model} at this length is stored"
    if saved < LEAST_SAVED:
        return AutoChoice((), f"exact: {unknown}, and a draft would save too little")
    return AutoChoice(
        (DEFAULT,), f"{DEFAULT}: {saved:.2g} times less to compute for this prompt; {unknown}"
    )


def _flops(methods: Sequence[str], length: int, draft: ModelDraft) -> float:
    built = [catalogue.build(text) for text in methods]
    return total_prefill_flops([one for one in built if one.pays(length)], length, draft)


def compared_with_exact(recipe: Recipe, samples: Sequence[Sample], length: int) -> list[Evidence]:
    """The stored evidence on recipes of this model and draft, from prompts of similar length."""
    scores: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    clusters: dict[tuple[str, str], str] = {}
    for sample in samples:
        if length / _SPREAD <= sample.run["kept"]["of"] <= length * _SPREAD:
            question = (sample.task, sample.question)
            scores[sample.recipe][question].append(sample.score)
            clusters[question] = sample.cluster
    exact = Recipe(model=recipe.model).spelling
    return [
        _evidence(parsed.approximate, found, scores[exact], clusters)
        for name, found in sorted(scores.items())
        if (parsed := _same_models(name, recipe)) and found.keys() & scores[exact].keys()
    ]


def _same_models(name: str, recipe: Recipe) -> Recipe | None:
    """The recipe of that name if it has the same models, some methods and no other settings."""
    if " " in name.replace(", ", ""):  # options follow the spelling
        return None
    parsed = Recipe.parse(name)
    drafting = any(catalogue.build(text).uses_draft() for text in parsed.approximate)
    same = parsed.model == recipe.model and (not drafting or parsed.draft == recipe.draft)
    return parsed if same and parsed.approximate and not parsed.search else None


def _evidence(
    methods: tuple[str, ...],
    found: Mapping[tuple[str, str], list[float]],
    exact: Mapping[tuple[str, str], list[float]],
    clusters: Mapping[tuple[str, str], str],
) -> Evidence:
    shared = sorted(found.keys() & exact.keys())
    tasks = []
    for task in dict.fromkeys(task for task, _ in shared):
        own = [question for question in shared if question[0] == task]
        changes = [float(np.mean(found[q]) - np.mean(exact[q])) for q in own]
        tasks.append(Clustered.of(changes, [clusters[q] for q in own]))
    interval = paired_interval(tasks, np.random.default_rng(0))
    return Evidence(methods, interval, len(shared))

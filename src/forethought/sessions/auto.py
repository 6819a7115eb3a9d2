"""`-x auto`: the fastest recipe for a prompt whose loss is known to be small.

Accuracy comes from stored comparisons with the exact run of the same model, on prompts of similar
length. Seconds come from the runs that this machine measured, or from the roofline alone. Without
a comparison that bounds the loss, the choice is the exact run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from forethought import catalogue
from forethought.contracts.choices import AutoChoice, WeighedOption
from forethought.contracts.questions import Sample
from forethought.recipes.recipe import Recipe
from forethought.sessions.stored_evidence import Evidence, compared, stored_timings
from forethought.sessions.this_machine import ThisMachine
from forethought.sessions.time_model import RunShape, Sizes, TimeModel
from forethought.storage.timings import RunTiming

EXAMPLE = "specpc-shallow(keep=0.25)"
"""The method that is suggested for a first comparison."""
LEAST_FASTER = 1.2
"""The least ratio of the exact run's seconds; below it, the exact run is the choice."""
LEAST_TOKENS = 1024
EXACT = "exact"
FEW = 8
"""Runs of this machine below which an interval of seconds is that of the prior, and not shown."""
_SPREAD = 2.0  # comparisons count for prompts up to this many times longer or shorter


@dataclass(frozen=True)
class Measurements:
    """What is known about this machine and its models."""

    machine: ThisMachine
    sizes: Sizes
    timings: Sequence[RunTiming]
    """Of this machine, newest first."""
    samples: Sequence[Sample]


def choose(recipe: Recipe, length: int, weights: str, known: Measurements) -> AutoChoice:
    """The methods for a prompt of so many tokens; `weights` is the loaded format."""
    unneeded = partial(AutoChoice, "approximate", EXACT, loss=recipe.allowed_loss)
    if length < LEAST_TOKENS:
        return unneeded(reason=f"the prefill of {length:,} tokens is short as it is")
    near = [one for one in known.samples if _is_near(one, length)]
    found = compared(Recipe(model=recipe.model).spelling, near, partial(_same_models, recipe))
    return _Choice(recipe, length, weights, known, found).choice()


def _is_near(sample: Sample, length: int) -> bool:
    return length / _SPREAD <= int(sample.run["kept"]["of"]) <= length * _SPREAD


def _same_models(recipe: Recipe, label: str) -> bool:
    """Whether a stored recipe has the same models, some methods and no other settings."""
    if " " in label.replace(", ", ""):  # options follow the spelling
        return False
    parsed = Recipe.parse(label)
    drafting = any(catalogue.build(text).uses_draft() for text in parsed.approximate)
    same = parsed.model == recipe.model and (not drafting or parsed.draft == recipe.draft)
    return bool(same and parsed.approximate and not parsed.search)


@dataclass(frozen=True)
class _Choice:
    """One choice, with the evidence on each stored recipe."""

    recipe: Recipe
    length: int
    weights: str
    known: Measurements
    found: Sequence[Evidence]

    def choice(self) -> AutoChoice:
        shapes = [self._shape(()), *map(self._shape, self._candidates())]
        timings = [
            *self.known.timings,
            *stored_timings(self.known.samples, self.known.machine.name),
        ]
        model = TimeModel.of(self.known.machine, self.known.sizes, timings, shapes)
        exact, *others = [self._option(shape, model) for shape in shapes]
        best = self._best(exact, others)
        return AutoChoice(
            "approximate",
            best.name,
            self._reason(exact, others, best, model),
            loss=self.recipe.allowed_loss,
            basis="measured" if model.measured else "roofline",
            measured=len(model.measured),
            options=(exact, *others),
        )

    def _candidates(self) -> list[tuple[str, ...]]:
        """Methods that were compared, or the suggested one."""
        return [Recipe.parse(one.label).approximate for one in self.found] or [(EXAMPLE,)]

    def _shape(self, methods: tuple[str, ...]) -> RunShape:
        recipe = self.recipe
        drafting = any(catalogue.build(text).uses_draft() for text in methods)
        return RunShape(
            recipe.model,
            recipe.draft if drafting else Recipe.draft,
            methods,
            self.weights,
            recipe.samples,
            self.length,
            typical_output(recipe, self.known.timings),
        )

    def _option(self, shape: RunShape, model: TimeModel) -> WeighedOption:
        name = "+".join(shape.methods) or EXACT
        seconds, runs = model.predict(shape), model.runs_like(shape)
        known = {"+".join(Recipe.parse(one.label).approximate): one for one in self.found}
        if not shape.methods:
            return WeighedOption(name, True, seconds, runs)
        if (one := known.get(name)) is None:
            return WeighedOption(name, False, seconds, runs)
        allowed = one.difference.low >= -self.recipe.allowed_loss
        return WeighedOption(name, allowed, seconds, runs, one.difference, one.questions, one.tasks)

    def _best(self, exact: WeighedOption, others: Sequence[WeighedOption]) -> WeighedOption:
        """The fastest allowed option, if it is clearly faster than the exact run."""
        if exact.seconds is None:
            return exact
        timed = [(one.seconds.value, one) for one in others if one.allowed and one.seconds]
        seconds, best = min(
            timed, key=lambda pair: (pair[0], pair[1].name), default=(exact.seconds.value, exact)
        )
        return best if seconds * LEAST_FASTER <= exact.seconds.value else exact

    def _reason(
        self,
        exact: WeighedOption,
        others: Sequence[WeighedOption],
        best: WeighedOption,
        model: TimeModel,
    ) -> str:
        if exact.seconds is None:
            return f"the sizes of {self.recipe.model} are unknown, so no time can be predicted"
        if not self.found:
            return self._unmeasured(exact, others[0], model)
        if not any(one.allowed for one in others):
            nearest = max(others, key=lambda one: (_least(one), one.name))
            return (
                f"none of {len(others)} stored comparisons at this length rules out a loss of more "
                f"than {self._points} points; the nearest, {nearest.name}: {_scores(nearest)}"
            )
        if best.name == EXACT:
            return (
                f"no recipe with a loss of at most {self._points} points is {LEAST_FASTER:g} times "
                f"as fast, {self._by(model)}"
            )
        return f"it {self._times(exact, best, model)}; {_scores(best)}"

    @property
    def _points(self) -> str:
        return f"{100 * self.recipe.allowed_loss:g}"

    def _unmeasured(self, exact: WeighedOption, example: WeighedOption, model: TimeModel) -> str:
        name = self.recipe.model
        unknown = f"no comparison of {name} with its exact run is stored at this length"
        if example.seconds is None or exact.seconds is None:
            return unknown
        if example.seconds.value * LEAST_FASTER > exact.seconds.value:
            return unknown
        return (
            f"{unknown}; {example.name} {self._times(exact, example, model)}, but its loss is "
            f"unknown: forethought compare exact '{example.name}' -m {name} -t TASK"
        )

    def _times(self, exact: WeighedOption, best: WeighedOption, model: TimeModel) -> str:
        assert exact.seconds is not None, "predicted for all or for none"
        assert best.seconds is not None, "predicted for all or for none"
        usual = exact.seconds.value
        if not model.measured and not self.known.machine.known:  # only ratios mean something
            return f"takes {best.seconds.value / usual:.2g} of exact's time, {self._by(model)}"
        value, low, high = (getattr(best.seconds, end) for end in ("value", "low", "high"))
        few = len(model.measured) < FEW
        interval = "" if few else f" (95 %: {low:.3g} to {high:.3g})"
        lacking = ", too few for an interval" if few and model.measured else ""
        return (
            f"takes about {value:.3g} s{interval} beside {usual:.3g} s exact, {self._by(model)}"
            f"{lacking}"
        )

    def _by(self, model: TimeModel) -> str:
        if count := len(model.measured):
            return f"by {count:,} {'run' if count == 1 else 'runs'} measured on this machine"
        return f"by the roofline alone ({self.known.machine.rates})"


def _least(option: WeighedOption) -> float:
    """The lower end of a compared option's difference."""
    return -1.0 if option.difference is None else option.difference.low


def _scores(best: WeighedOption) -> str:
    assert best.difference is not None, "compared"
    points, low, high = (
        f"{100 * getattr(best.difference, end):+.1f}" for end in ("value", "low", "high")
    )
    return (
        f"{points} points beside exact on {best.questions} stored questions of "
        f"{', '.join(best.tasks)} (95 %: {low} to {high})"
    )


def typical_output(recipe: Recipe, timings: Sequence[RunTiming]) -> int:
    """The median answer of the model on this machine in tokens, at most `max_tokens`."""
    held = sorted(one.output for one in timings if one.model == recipe.model)
    return min(recipe.max_tokens, held[len(held) // 2] if held else recipe.max_tokens)


def settled_recipe(recipe: Recipe, choice: AutoChoice) -> Recipe:
    """The recipe with the chosen methods."""
    chosen = Recipe.parse(f"m+{choice.chosen}").approximate if choice.chosen != EXACT else ()
    return replace(recipe, approximate=chosen)

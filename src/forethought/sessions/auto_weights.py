"""`--weights auto`: the weight format of a run, by measured seconds and stored scores.

The formats of the published weights (bf16, and 4 bits for models that were published in 4 bits)
need no evidence: the loader times their decode passes for the number of sequences of the run. Other
formats may change answers. They are options only of `-x auto`, which states the loss that is
allowed, and only if stored comparisons bound their loss and this machine has measured their runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from forethought import catalogue
from forethought.contracts.choices import AutoChoice, WeighedOption
from forethought.contracts.comparison import Interval
from forethought.contracts.roles import Network
from forethought.models.known_configs import published_in_four_bits
from forethought.recipes.recipe import Recipe
from forethought.sessions.auto import LEAST_FASTER, Measurements, typical_output
from forethought.sessions.stored_evidence import Evidence, compared, stored_timings
from forethought.sessions.time_model import RunShape, TimeModel
from forethought.storage.timings import RunTiming

LOSSY = ("int4", "int8", "w8a8")
_PROMPT = 2048  # tokens of a request of a model that never ran here


def sequences(recipe: Recipe) -> int:
    """Sequences that a run decodes at once."""
    if not recipe.search:
        return recipe.samples
    strategy = catalogue.build(recipe.search, "strategies")
    return int(getattr(strategy, "n", 1))


def calibrated_choice(network: Network, rows: int) -> AutoChoice | None:
    """The loader's choice among the formats of the published weights; None if it had none."""
    seconds = network.format_seconds
    if network.weight_format not in seconds or len(seconds) < 2:
        return None
    chosen = network.weight_format
    others = (f"{1000 * s:.3g} ms in {name}" for name, s in seconds.items() if name != chosen)
    passes = "a decode pass" if rows == 1 else f"a decode pass of {rows} sequences"
    reason = (
        f"the products of {passes} take {1000 * seconds[chosen]:.3g} ms beside "
        f"{', '.join(others)}, as measured on this machine"
    )
    options = tuple(
        WeighedOption(name, True, Interval(s, s, s)) for name, s in sorted(seconds.items())
    )
    return AutoChoice(
        "weights",
        chosen,
        reason,
        loss=0.0,
        basis="measured",
        options=options,
        usual=rows == 1,
    )


def choose_weights(recipe: Recipe, known: Measurements) -> AutoChoice | None:
    """A format beside the published ones that is faster and whose loss is small; else None."""
    exact = Recipe(model=recipe.model).spelling
    names = {f"{exact} --weights={name}": name for name in LOSSY}
    found = compared(exact, known.samples, names.__contains__)
    if not found:
        return None
    timings = [*known.timings, *stored_timings(known.samples, known.machine.name)]
    usual = "int4" if published_in_four_bits(recipe.model) else "bf16"
    shape = partial(_shape, recipe, timings)
    shapes = {name: shape(name) for name in (usual, *(names[one.label] for one in found))}
    model = TimeModel.of(known.machine, known.sizes, timings, [*shapes.values()])
    options = {
        name: _option(name, run, model, recipe, [one for one in found if names[one.label] == name])
        for name, run in shapes.items()
    }
    options[usual] = replace(options[usual], allowed=True)
    return _fastest(options, usual, recipe, model)


def _shape(recipe: Recipe, timings: Sequence[RunTiming], weights: str) -> RunShape:
    prompts = sorted(one.prompt for one in timings if one.model == recipe.model)
    prompt = prompts[len(prompts) // 2] if prompts else _PROMPT
    output = typical_output(recipe, timings)
    return RunShape(recipe.model, "self", (), weights, sequences(recipe), prompt, output)


def _option(
    name: str, run: RunShape, model: TimeModel, recipe: Recipe, found: Sequence[Evidence]
) -> WeighedOption:
    seconds, runs = model.predict(run), model.runs_like(run)
    if not found:
        return WeighedOption(name, False, seconds, runs)
    one = found[0]
    allowed = one.difference.low >= -recipe.allowed_loss
    return WeighedOption(name, allowed, seconds, runs, one.difference, one.questions, one.tasks)


def _fastest(
    options: dict[str, WeighedOption], usual: str, recipe: Recipe, model: TimeModel
) -> AutoChoice | None:
    base = options[usual].seconds
    timed = [
        (one.seconds.value, one)
        for name, one in options.items()
        if name != usual and one.allowed and one.runs and one.seconds is not None
    ]
    seconds, best = min(timed, key=lambda pair: (pair[0], pair[1].name), default=(0.0, None))
    if best is None or base is None or seconds * LEAST_FASTER > base.value:
        return None
    assert best.difference is not None, "compared"
    reason = (
        f"a usual request takes about {seconds:.3g} s beside {base.value:.3g} s in {usual}, by "
        f"{best.runs} runs measured on this machine; it differs by "
        f"{100 * best.difference.value:+.1f} points on {best.questions} stored questions (95 %: "
        f"{100 * best.difference.low:+.1f} to {100 * best.difference.high:+.1f})"
    )
    return AutoChoice(
        "weights",
        best.name,
        reason,
        loss=recipe.allowed_loss,
        basis="measured",
        measured=len(model.measured),
        options=tuple(options.values()),
    )


def with_weights(recipe: Recipe, choice: AutoChoice) -> Recipe:
    """The recipe in the chosen format; its methods may lose what the format may not have lost."""
    option = next(one for one in choice.options if one.name == choice.chosen)
    assert option.difference is not None, "a lossy format was compared"
    left = max(0.0, recipe.allowed_loss + min(0.0, option.difference.low))
    return replace(recipe, weights=choice.chosen, approximate=(f"auto(loss={left:.4f})",))

"""Formatted figures of a comparison, and the axes of cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from forethought.contracts.comparison import (
    Comparison,
    Difference,
    Interval,
    RecipeResult,
    Refusal,
)
from forethought.reports import units
from forethought.reports.names import Names, is_search, recipe_names

MINUS = "\u2212"
DASH = "\u2013"
MISSING = DASH
COUNTED = "*"
"""Suffix of recipes that were counted from another recipe's answers."""
_MACHINE = ("processor", "cores", "threads", "device", "system", "python")
"""Provenance fields that affect speed."""
_SERVED = ("served", "price")
"""Provenance fields that a server may change between two answers."""


@dataclass(frozen=True)
class Axis:
    """A cost that recipes are ranked by."""

    name: str
    """Field of RecipeResult, also the name in its `frontier`."""
    title: str
    """Heading of a column."""
    meaning: str
    """Title of a chart's axis, with the average it shows."""
    noun: str
    """Noun within a sentence."""
    shown: Callable[[float], str]
    """Formats a value with its unit."""
    binary: bool = False
    """Whether ticks are powers of two."""

    def cost(self, result: RecipeResult) -> float:
        """The recipe's cost on this axis."""
        return {
            "cache_bytes": result.cache_bytes,
            "first_token": result.first_token,
            "flops": result.flops,
            "tokens": result.tokens,
            "usd": result.usd,
        }[self.name]


CACHE = Axis(
    "cache_bytes",
    "cache",
    "cache after prefill, mean bytes",
    "cache bytes",
    units.memory,
    binary=True,
)
FIRST_TOKEN = Axis(
    "first_token",
    "first token",
    "time to first token, median seconds",
    "time to the first token",
    units.seconds,
)
FLOPS = Axis("flops", "FLOPs", "FLOPs of a whole run, mean", "FLOPs", units.flops)


TOKENS = Axis("tokens", "tokens", "tokens of a whole run, mean", "tokens", units.count)
USD = Axis("usd", "price", "price of a whole run, mean", "price", units.dollars)
_SAME = 1.01  # smaller factors between cache sizes come from the length of answers


def axes(comparison: Comparison, timing: bool) -> tuple[Axis, ...]:
    """The axes of cost; `timing` includes measured time.

    Searches are shown over tokens and FLOPs: their first token is available only after the
    choice, and their cache counts only if a method shrinks it. Servers report tokens alone, and
    dollars if a price was stated.
    """
    known = _axes_of_kind(comparison, timing)
    remote = any(not math.isfinite(one.flops) for one in comparison.standings)
    known = tuple(one for one in known if _has_known_cost(comparison, one)) if remote else known
    first = [TOKENS] if remote or TOKENS in known else []
    priced = [USD] if _has_known_cost(comparison, USD) else []
    return (*first, *priced, *(one for one in known if one is not TOKENS))


def _has_known_cost(comparison: Comparison, axis: Axis) -> bool:
    """Whether any recipe has a known cost on this axis."""
    return any(math.isfinite(axis.cost(one)) for one in comparison.standings)


def _axes_of_kind(comparison: Comparison, timing: bool) -> tuple[Axis, ...]:
    if not searching(comparison):
        return (CACHE, FIRST_TOKEN, FLOPS) if timing else (CACHE, FLOPS)
    caches = [one.cache_bytes for one in comparison.standings]
    differ = all(map(math.isfinite, caches)) and max(caches) > _SAME * min(caches)
    return (TOKENS, FLOPS, CACHE) if differ else (TOKENS, FLOPS)


def searching(comparison: Comparison) -> bool:
    """Whether any recipe is a search."""
    return any(is_search(one.recipe) for one in comparison.standings)


def points(value: float) -> str:
    """A score from 0 to 1 in points of 100, such as `71.4`."""
    return f"{_rounded(value):.1f}" if math.isfinite(value) else MISSING


def signed(value: float) -> str:
    """A difference in points, such as `-12.3` with a true minus sign."""
    if not math.isfinite(value):
        return MISSING
    text = f"{_rounded(value):+.1f}".replace("-", MINUS)
    return "0.0" if text[1:] == "0.0" else text


def span(interval: Interval) -> str:
    """The bounds of a score, such as 66.2 to 76.3 with a dash between."""
    return f"{points(interval.low)}{DASH}{points(interval.high)}"


def signed_span(interval: Interval) -> str:
    """The bounds of a difference, such as `+1.0 to +6.9`."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def named(comparison: Comparison) -> Names:
    """Short names of recipes; names of counted recipes end in a star."""
    found = recipe_names([one.recipe for one in comparison.standings])
    pairs = zip(found.short, comparison.standings, strict=True)
    return replace(found, short=tuple(f"{n}{COUNTED * bool(one.counted_from)}" for n, one in pairs))


def mark(interval: Interval) -> str:
    """`▲` or `▼` if the interval of a difference excludes zero."""
    if interval.low > 0:
        return "▲"
    return "▼" if interval.high < 0 else ""


def amount(axis: Axis, value: float) -> str:
    """A cost with its unit."""
    return axis.shown(value) if math.isfinite(value) else MISSING


def factor(value: float, of: float) -> str:
    """The ratio of two costs, such as `0.13`; the heading carries the × sign."""
    if not (math.isfinite(value) and math.isfinite(of)) or of <= 0:
        return MISSING
    return units.ratio(value / of).removesuffix(" ×")


def difference(comparison: Comparison, recipe: str, against: str) -> Difference | None:
    """The difference of `recipe` from `against`; None if they were not compared."""
    found = (
        one for one in comparison.differences if (one.recipe, one.against) == (recipe, against)
    )
    return next(found, None)


def from_baseline(comparison: Comparison) -> list[Difference | None]:
    """The difference of each recipe from the first one; None for the first itself."""
    first = comparison.standings[0].recipe
    return [
        None if one.recipe == first else difference(comparison, one.recipe, first)
        for one in comparison.standings
    ]


def scope(comparison: Comparison) -> str:
    """The scope, such as `13 tasks, 130 questions answered by every recipe`."""
    tasks = len(comparison.tasks)
    return (
        f"{tasks} {'task' if tasks == 1 else 'tasks'}, {comparison.questions:,} "
        f"{'question' if comparison.questions == 1 else 'questions'} answered by every recipe"
    )


def caveats(comparison: Comparison, *, timing: bool = True) -> list[str]:
    """Caveats: coverage of the intervals, detectable differences, recipes left out, notes."""
    found = [
        "Intervals are 95 %, over questions: another draw of questions, not another model or "
        "seed. They are not widened for the number of recipes."
    ]
    sizes = [one.detectable for one in from_baseline(comparison) if one]
    sizes = sorted(size for size in sizes if math.isfinite(size))
    if sizes:
        low, high = points(sizes[0]), points(sizes[-1])
        smallest = f"{low} points" if low == high else f"{low} to {high} points, by recipe"
        found.append(f"The smallest true difference that shows in four runs of five: {smallest}.")
    found += [_counted(name, one, comparison) for name, one in _all_counted(comparison)]
    found += _held_out(comparison)
    found += comparison.notes
    return [*found, *_mixed_provenance(comparison, timing), *map(_left_out, comparison.refusals)]


def _held_out(comparison: Comparison) -> Iterator[str]:
    """What is left of a holdout's budget."""
    held = comparison.held_out
    if held is not None:
        yield (
            f"{held.tuning:,} questions are of the tuning half and {held.holdout:,} are held out, "
            f"with {held.left} charged answers left for them"
            f"{'.' if held.left else ': evaluate on fresh questions.'}"
        )


def _all_counted(comparison: Comparison) -> list[tuple[str, RecipeResult]]:
    pairs = zip(named(comparison).short, comparison.standings, strict=True)
    return [(name, one) for name, one in pairs if one.counted_from]


def _counted(name: str, one: RecipeResult, comparison: Comparison) -> str:
    places = [other.recipe for other in comparison.standings]
    source = named(comparison).short[places.index(one.counted_from)]
    return (
        f"{name}: nothing was asked for it; it is counted from the answers of {source}, with equal "
        "counts sharing the credit."
    )


def _mixed_provenance(comparison: Comparison, timing: bool) -> list[str]:
    """Caveats about samples with different software or hardware."""
    made = [name for name in comparison.mixed if name not in (*_MACHINE, *_SERVED)]
    on = [name for name in comparison.mixed if name in _MACHINE]
    found = []
    if made:
        found.append(f"The samples were made with more than one version of {', '.join(made)}.")
    if any(name in comparison.mixed for name in _SERVED):
        found.append(
            "A server changed its model, or another price was stated, between a recipe's answers."
        )
    if on and timing:
        found.append(
            f"The samples differ in {', '.join(on)}: their times to the first token do not compare."
        )
    return found


def _left_out(refusal: Refusal) -> str:
    return f"Left out at {refusal.question} of {refusal.task}: {refusal.reason}."


def _rounded(value: float) -> float:
    return round(100 * value, 1)

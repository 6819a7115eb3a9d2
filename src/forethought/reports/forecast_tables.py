"""The tables and notes of a forecast, for every output format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forethought.contracts.forecast import (
    Attempts,
    Curve,
    Difficulty,
    Economics,
    Forecast,
    Further,
    Law,
    Reached,
    Unsolved,
)
from forethought.reports import figures, units

FORESEEN = "…"
"""Suffix of numbers of answers that are forecast."""
PRIOR_DRIVEN = "prior-driven "
"""Prefix of those that the prior decides."""
_UNEXPECTED = 0.02
"""Probability of counts this untypical below which a note says so."""


@dataclass(frozen=True)
class Shown:
    """A table with its title, context and notes."""

    title: str
    context: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def finding(found: Forecast) -> str:
    """One sentence on the gain of choosing among the first curve's answers."""
    one = found.curves[0]
    last = one.reached[-1]
    ways = {"a vote": last.vote, "the likeliest": last.likely, "the scorer's best": last.scored}
    known = {name: interval for name, interval in ways.items() if interval is not None}
    best = max(known, key=lambda name: known[name].value)
    value, alone = figures.points(known[best].value), figures.points(one.random.value)
    most = f"{figures.points(last.oracle.value)} ({figures.span(last.oracle)})"
    return (
        f"Of {last.answers} answers by {one.recipe}, {best} scores {value} points where one alone "
        f"scores {alone}; the best of them, were it known, {most}."
    )


def tables(found: Forecast) -> list[Shown]:
    """A table for each curve and each pair of recipes, and one for each task by difficulty."""
    return [
        *map(curve_table, found.curves),
        *map(economics_table, found.economics),
        *map(difficulty_table, found.difficulties),
    ]


def caveats(found: Forecast) -> list[str]:
    """Caveats: coverage of the intervals, and recipes left out."""
    return [
        "Intervals of drawn answers are 95 %, over questions: another draw of questions, not "
        "another model. Intervals of forecasts are 90 %, for these questions. "
        "Scores are means over every way to draw that many of the stored answers; no model was "
        "asked for them.",
        "The best of k is the score of an oracle, an upper bound for every way to choose; where "
        "right answers can be guessed, guesses that are right by chance count.",
        *found.notes,
    ]


def curve_table(one: Curve) -> Shown:
    """Score and cost by number of answers, stored and extrapolated."""
    likely, scored = (
        any(getattr(row, name) for row in one.reached) for name in ("likely", "scored")
    )
    ways = [*["likeliest"] * likely, *[f"by {_scorer(one)}"] * scored]
    rows = [_reached(one, row, likely, scored) for row in one.reached]
    names = [*["likely"] * likely, *["scored"] * scored]
    rows += [_further(row, _ahead(one, names, place)) for place, row in enumerate(one.further)]
    return Shown(
        title=f"{one.recipe} on {one.task}",
        context=f"{one.questions:,} questions, {one.answers:,} answers to each",
        heading=(
            "answers",
            "random",
            "vote",
            "interval",
            *ways,
            "best",
            "interval",
            "tokens",
            "FLOPs",
        ),
        rows=tuple(rows),
        notes=tuple(_curve_notes(one)),
    )


def difficulty_table(one: Difficulty) -> Shown:
    """Difficulty bins, and the best recipe for each."""
    return Shown(
        title=f"{one.task} by difficulty",
        context=f"sorted by how often {one.sorted_by} answers rightly, ties by chance",
        heading=("bin", "questions", "right answers", "best recipe", "its score"),
        rows=tuple(
            (
                f"{bin.number}" + (" easiest" if bin is one.bins[0] else "")
                + (" hardest" if bin is one.bins[-1] else ""),
                f"{bin.questions:,}",
                f"{figures.points(bin.success)} %",
                bin.best if len(one.recipes) > 1 else figures.MISSING,
                figures.points(bin.score) if len(one.recipes) > 1 else figures.MISSING,
            )
            for bin in one.bins
        ),
        notes=(_adapted(one),),
    )  # fmt: skip


def _scorer(one: Curve) -> str:
    return one.scorer.partition("(")[0] or "score"


def _reached(one: Curve, row: Reached, likely: bool, scored: bool) -> tuple[str, ...]:
    ways = [row.likely] * likely + [row.scored] * scored
    return (
        f"{row.answers:,}",
        figures.points(one.random.value),
        figures.points(row.vote.value),
        figures.span(row.vote),
        *(figures.points(way.value) if way else figures.MISSING for way in ways),
        figures.points(row.oracle.value),
        figures.span(row.oracle),
        f"{row.tokens:,.0f}",
        units.flops(row.flops),
    )


def _forecast_answers(answers: int, prior_driven: bool) -> str:
    return f"{PRIOR_DRIVEN * prior_driven}{answers:,}{FORESEEN}"


def _ahead(one: Curve, names: Sequence[str], place: int) -> list[str]:
    """The forecasts of choices at the row `place` of further answers."""
    known = [one.choices.get(name) for name in names]
    return ["" if way is None else figures.points(way.scores[place].value) for way in known]


def _further(row: Further, ways: Sequence[str]) -> tuple[str, ...]:
    return (
        _forecast_answers(row.answers, row.prior_driven),
        "",
        figures.points(row.vote.value),
        figures.span(row.vote),
        *ways,
        figures.points(row.oracle.value),
        figures.span(row.oracle),
        f"{row.tokens:,.0f}",
        units.flops(row.flops),
    )


def _curve_notes(one: Curve) -> Iterator[str]:
    last = one.reached[-1]
    if last.scored and last.scoring_tokens:
        each, flops = last.scoring_tokens / last.answers, last.scoring_flops / last.answers
        yield f"Scoring adds {each:,.0f} tokens and {units.flops(flops)} for each answer."
    if one.further:
        yield _beliefs(one)
    yield from _choices(one)
    if one.unsolved:
        yield _unsolved(one.unsolved)
    yield _law(one.law, one) if one.law else f"There is no power law: {one.no_law}."
    if one.attempts:
        yield from _attempts(one.attempts)
    elif one.no_attempts:
        yield f"Nothing is said of a verifier: {one.no_attempts}."


def _beliefs(one: Curve) -> str:
    few = " So few questions tell little." if one.questions < 30 else ""
    odd = one.surprise is not None and one.surprise < _UNEXPECTED
    unexpected = (
        f" Only {figures.points(one.surprise or 0.0)} % of simulated data sets are as untypical as "
        "these answers, so the prior may not hold here."
    )
    return (
        f"{FORESEEN} is a forecast: a broad simulated prior over difficulty, given the drawn "
        "answers, with 90 % intervals. Beyond four times the answers drawn, the prior decides."
        f"{few}{unexpected * odd}"
    )


def _choices(one: Curve) -> Iterator[str]:
    """What a network of learning curves says of other choices."""
    for name, ahead in one.choices.items():
        last = ahead.scores[-1]
        yield (
            f"{_choice(one, name)}, {ahead.answers[-1]:,} answers are forecast at "
            f"{figures.points(last.value)} ({figures.span(last)}, 90 %), prior-driven: the prior "
            "of learning curves (LC-PFN's) knows this curve alone, which must rise. With "
            f"{_chance(ahead.gain)} they score a point more than those drawn."
        )
    for name, reason in one.no_choices.items():
        yield f"{_choice(one, name)}, there is no forecast: {reason}."


def _choice(one: Curve, name: str) -> str:
    return "By likelihood" if name == "likely" else f"By {_scorer(one)}"


def _unsolved(one: Unsolved) -> str:
    return (
        f"Questions without a right answer: {one.questions:,}. The next answer to one of them is "
        f"right with {_chance(one.next)}, one of as many again with {_chance(one.within)}."
    )


def _law(law: Law, one: Curve) -> str:
    ahead = ", ".join(f"{figures.points(row.oracle.value)} at {row.answers:,}" for row in law.ahead)
    few = " So few questions tell little." if one.questions < 30 else ""
    return (
        f"The power law of the best is exp({law.a:.3g} k^{law.b:.3g}), which is off by "
        f"{figures.points(law.misfit)} points at most where answers were drawn. It gives {ahead}."
        f"{few}"
    ).replace("-", figures.MINUS)


def economics_table(one: Economics) -> Shown:
    """Several answers of the cheaper recipe beside one answer of the dearer."""
    return Shown(
        title=f"{one.cheaper} beside one answer of {one.dearer}",
        context=f"{one.task}, {one.questions:,} questions that both answered",
        heading=(
            "answers", "FLOPs", "of the dearer", "vote", "90 %", "above", "best", "90 %", "above",
        ),
        rows=tuple(
            (
                f"{PRIOR_DRIVEN * row.prior_driven}{row.answers:,}",
                units.flops(row.flops),
                f"{row.flops / one.flops:.2f}×" if one.flops else figures.MISSING,
                figures.points(row.vote.value),
                figures.span(row.vote),
                _chance(row.vote_ahead),
                figures.points(row.oracle.value),
                figures.span(row.oracle),
                _chance(row.oracle_ahead),
            )
            for row in one.rivals
        ),
        notes=tuple(_economics_notes(one)),
    )  # fmt: skip


def _chance(probability: float) -> str:
    return f"{100 * probability:.0f} %"


def _economics_notes(one: Economics) -> Iterator[str]:
    yield (
        f"One answer of {one.dearer} scores {figures.points(one.score.value)} "
        f"({figures.span(one.score)}) and takes {units.flops(one.flops)}. `above` is the "
        "probability that the cheaper recipe scores more. `best` needs a verifier that is always "
        "right, and its cost is not counted."
    )
    for name, first in (
        ("a vote", next((row for row in one.rivals if row.vote_ahead > 0.5), None)),
        ("the best", next((row for row in one.rivals if row.oracle_ahead > 0.5), None)),
    ):
        if first is None:
            yield f"With {name}, no number of answers here is more likely above than below."
        else:
            yield (
                f"With {name}, {first.answers:,} answers are more likely above than below, at "
                f"{units.flops(first.flops)}."
            )


def _attempts(found: Attempts) -> Iterator[str]:
    source = "By the stored scores, behind" if found.measured else "Behind"
    behind = (
        f"{source} a verifier that passes {figures.points(found.false_positives)} % of wrong "
        f"answers, each of which costs {found.penalty:g} where a right one is worth 1, "
    )
    if found.completeness < 1:
        behind += f"and {figures.points(found.completeness)} % of right ones, "
    if found.price:
        behind += f"at {found.price:g} an attempt, "
    first = f"A single attempt is worth {found.first:.3f}."
    if found.best == 0:
        told = "no attempt pays."
    else:
        told = (
            f"{_most(found.best)}: {found.reward:.3f} a question, {figures.points(found.right)} % "
            f"right and {figures.points(found.wrong)} % wrong accepted, in {_tries(found)}."
        )
    yield " ".join([behind + told, first, *_accepted(found), *_surely(found)]).replace(
        "-", figures.MINUS
    )


def _accepted(found: Attempts) -> Iterator[str]:
    """How often accepted answers are right: later ones come from harder questions."""
    if found.best != 0 and not math.isnan(found.first_right):
        later = (
            ""
            if math.isnan(found.last_right) or found.best == 1
            else (f", one accepted at the last with {_chance(found.last_right)}")
        )
        yield (
            f"{_chance(found.accepted)} of questions have an accepted answer. One accepted at the "
            f"first attempt is right with {_chance(found.first_right)}{later}."
        )


def _surely(found: Attempts) -> Iterator[str]:
    """The intervals, and the law that they rest on."""
    if found.reward_interval is not None:
        most = "any number" if found.most is None else f"{found.most:,}"
        fewest = "any number" if found.fewest is None else f"{found.fewest:,}"
        low, high = found.reward_interval.low, found.reward_interval.high
        span = f"is {fewest}" if fewest == most else f"lies between {fewest} and {most}"
        yield (
            f"Over questions, the best number {span}, and its worth between {low:.3f} and "
            f"{high:.3f}."
        )
    if found.success is not None:
        a, b = found.success
        yield f"Success rates of questions are taken to follow Beta({a:.3g}, {b:.3g})."


def _most(best: int | None) -> str:
    if best is None:
        return "any number of attempts pays"
    return "1 attempt is worth most" if best == 1 else f"{best:,} attempts at most are worth most"


def _tries(found: Attempts) -> str:
    if found.tries == float("inf"):
        return "attempts without end on those that none solves"
    return f"{found.tries:.1f} attempts on average"


def _adapted(one: Difficulty) -> str:
    if one.adapted is None:
        return "Only one recipe answered these questions, so there is nothing to choose by bin."
    gain = figures.signed(one.adapted - one.fixed_score)
    return (
        f"With a recipe for each bin, chosen on half of its questions and scored on the others: "
        f"{figures.points(one.adapted)} points, {gain} beside {one.fixed} for all. Scores in the "
        "table have an optimistic bias: each recipe was chosen by the answers that it is scored "
        f"on. Recipes differ in what they cost. Compared: {', '.join(one.recipes)}."
    )


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]

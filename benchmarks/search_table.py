"""Searches as their papers measure them: a table for each line of search_lines.py.

    python benchmarks/search_table.py LINE ... -m qwen-coder-0.5b --results FILE [--stored]

Without a line, the lines are listed. The files gsm8k.jsonl and svamp.jsonl are read from --data, by
default the current folder. Every answer is stored in --results before the next one starts, so an
interrupted command resumes when it is repeated; lines on equal questions share their samples.
With --stored no model runs: the table holds the questions that every recipe has answered so far.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from forethought import catalogue
from forethought.cli.torch_start import start_torch
from forethought.contracts.comparison import Comparison
from forethought.contracts.errors import ForethoughtError, UsageError
from forethought.contracts.forecast import Forecast
from forethought.contracts.questions import Task
from forethought.contracts.tuning import Tuned
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.reports.comparison import comparison_csv, comparison_markdown
from report import table
from search_lines import LINES, Line

WORTHS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Points that a thousand tokens must gain, from the most generous plan to the cheapest."""


def main() -> int:
    """Run lines and print their tables."""
    options = _options()
    if not options.lines:
        for name, line in LINES.items():
            print(f"{name:18} {line.about}")
        return 0
    start_torch(options.threads)
    try:
        for name in options.lines:
            publish(name, LINES[name], options)
    except ForethoughtError as error:
        print(f"error: {error}\n\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lines", nargs="*", choices=[*LINES, []], metavar="LINE")
    parser.add_argument("-m", "--model", default="qwen-coder-0.5b")
    parser.add_argument("--data", default="", help="folder of gsm8k.jsonl and svamp.jsonl")
    parser.add_argument("--count", type=int, help="questions of each task")
    parser.add_argument("--samples", type=int, help="runs per question")
    parser.add_argument("--budget", help="budget of each recipe, in place of the line's")
    parser.add_argument("--weights", default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, required="-h" not in sys.argv and len(sys.argv) > 1)
    parser.add_argument("--stored", action="store_true", help="show stored answers only")
    parser.add_argument("--csv", type=Path, help="folder for the tables as CSV")
    return parser.parse_args()


def publish(name: str, line: Line, options: argparse.Namespace) -> None:
    """Print what a line shows."""
    recipes, tasks = recipes_of(line, options), tasks_of(line, options)
    found = compared(recipes, tasks, options.samples or line.samples, options)
    print(f"## {name}: {line.about}\n")
    if found is None:
        print("No question has been answered by every recipe.\n")
        return
    print(comparison_markdown(found, timing=False))
    if options.csv:
        options.csv.mkdir(parents=True, exist_ok=True)
        file = options.csv / f"{name}-{Path(recipes[0].model).name}.csv"
        file.write_text(comparison_csv(found, timing=False), "utf-8")
    _publish_forecasts(line, recipes, tasks, options)
    if line.routes:
        print(_routed(found, line, recipes, tasks, options))


def recipes_of(line: Line, options: argparse.Namespace) -> list[Recipe]:
    """The recipes of a line on the model of the command."""
    budget = options.budget or line.budgets.get(options.model, "")
    base = replace(Recipe.parse(options.model), weights=options.weights, budget=budget)
    return [
        recipe
        for search, settings in line.recipes
        for recipe in recipe_grid([f"@{search}"], replace(base, **settings))
    ]


def tasks_of(line: Line, options: argparse.Namespace) -> dict[str, Task]:
    """The tasks of a line, by the spelling under which samples are stored."""
    data = f"{options.data.rstrip('/')}/" if options.data else ""
    more = f", count={options.count or line.count}"
    built: dict[str, Task] = {}
    for text in line.tasks:
        task = catalogue.build(text.format(data=data, more=more), "tasks")
        built[catalogue.spelled_open(task)] = task
    return built


def compared(
    recipes: Sequence[Recipe], tasks: dict[str, Task], samples: int, options: argparse.Namespace
) -> Comparison | None:
    """The comparison after the missing samples; with --stored, of what is stored, if anything."""
    from forethought.evaluation.cells import LocalCells
    from forethought.evaluation.evaluate import Evaluation
    from forethought.sessions.batch import Answers
    from forethought.storage.provenance import provenance
    from forethought.storage.store import Store

    with Answers() as answers, Store.open(options.results) as store:
        every = tuple(dict.fromkeys(map(answers.settled, recipes)))
        cells = LocalCells(answers)
        asking = Evaluation(every, tasks, store, cells, provenance(), samples, searches=True)
        if not options.stored:
            return asking.run(lambda at: print(f"{at.done} of {at.total}", file=sys.stderr))
        groups = defaultdict(list)
        for one in asking.wanted():
            groups[one.task, one.question.identifier].append(one)
        whole = {
            at: group for at, group in groups.items() if all(store.has(one.key) for one in group)
        }
        answered = {
            name: task for name, task in tasks.items() if any(at[0] == name for at in whole)
        }
        wanted = [one for group in whole.values() for one in group]
        return replace(asking, tasks=answered).compared(wanted) if wanted else None


def _publish_forecasts(
    line: Line, recipes: Sequence[Recipe], tasks: dict[str, Task], options: argparse.Namespace
) -> None:
    """Print what the first recipe's stored answers tell of more answers and of verifiers."""
    from forethought.evaluation.attempts import ImperfectVerifier
    from forethought.evaluation.forecast import UP_TO, forecast
    from forethought.reports.terminal.forecast import forecast_markdown

    def told(up_to: int, false_positives: float | None) -> Forecast:
        verifier = None if false_positives is None else ImperfectVerifier(false_positives)
        spelled, file = [catalogue.spelled(task) for task in tasks.values()], options.results
        named = [recipes[0].spelling]
        return forecast(named, spelled, recipes[0], results=file, verifier=verifier, up_to=up_to)

    try:
        if line.up_to:
            print(f"### forecast\n\n{forecast_markdown(told(line.up_to, None))}")
        if line.false_positives:
            found = [_attempts(rate, told(UP_TO, rate)) for rate in line.false_positives]
            print(f"### best number of attempts\n\n{table(list(found[0]), found)}\n")
    except UsageError as error:
        print(f"No forecast: {error}.\n")


def _attempts(rate: float, found: Forecast) -> dict[str, str]:
    """The best number of attempts behind a verifier of this error rate."""
    (curve,) = found.curves
    one = curve.attempts
    row = {"false positives": f"{rate:.0%}", "attempts": curve.no_attempts}
    if one is None:
        return row
    best, fewest, most = (
        "no end" if count is None else str(count) for count in (one.best, one.fewest, one.most)
    )
    return row | {
        "attempts": best,
        "95 %": f"{fewest} to {most}",
        "reward": f"{one.reward:.2f}",
        "of one": f"{one.first:.2f}",
        "right": f"{one.right:.0%}",
        "wrong": f"{one.wrong:.0%}",
    }


def _routed(
    found: Comparison,
    line: Line,
    recipes: Sequence[Recipe],
    tasks: dict[str, Task],
    options: argparse.Namespace,
) -> str:
    """The most generous plan within a quarter of the last recipe's tokens, on unseen questions."""
    last = recipes[-1]
    measure = next(one for one in found.standings if one.recipe == last.label)
    try:
        plans = (_plan(line, recipes, tasks, worth, options) for worth in WORTHS)
        plan = next(one for one in plans if one.adapted.tokens <= measure.tokens / 4)
    except StopIteration:
        return "difficulty-router: no plan costs so little.\n"
    except UsageError as error:
        return f"difficulty-router: {error}.\n"
    spent, gain = plan.adapted, plan.gain
    dear = "@".join(filter(None, (last.search, last.scorer)))
    return (
        f"difficulty-router, a plan of {len(plan.plan.bins)} bins, on questions it was not fitted "
        f"to: score {100 * spent.score:.1f} with {spent.tokens:,.0f} tokens; {dear}: "
        f"{100 * measure.score.value:.1f} with {measure.tokens:,.0f}. Above {plan.fixed} alone by "
        f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}).\n"
    )


def _plan(
    line: Line,
    recipes: Sequence[Recipe],
    tasks: dict[str, Task],
    worth: float,
    options: argparse.Namespace,
) -> Tuned:
    from forethought.evaluation.tune import PlanSettings, tune

    return tune(
        line.routes,
        [catalogue.spelled(task) for task in tasks.values()],
        recipes[0],
        wanted=PlanSettings(probe=2, bins=2, worth=worth),
        results=options.results,
    )


if __name__ == "__main__":
    sys.exit(main())

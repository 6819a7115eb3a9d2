"""What each verb takes; a verb's code, in the module of its name, is imported when it runs."""

from __future__ import annotations

from forethought.cli import options
from forethought.cli.grammar import Verb

_ASKED = (
    options.MODEL,
    options.DRAFT,
    options.KEEPS,
    options.TASKS,
    options.ANSWERS,
    options.TEMPERATURE,
    options.TOP_P,
    options.MAX_TOKENS,
    options.SEARCH_BUDGET,
    options.WEIGHTS,
    options.SEED,
    options.SKIP_BAD,
    options.SANDBOX,
    options.PRICES,
    options.RESULTS,
    options.REPORTS,
    options.THREADS,
    options.JSON,
)
"""What `compare` and `evaluate` share."""

TABLES = {
    "ask": Verb(
        "",
        options.QUESTION,
        (
            options.MODEL,
            options.DRAFT,
            options.APPROXIMATE,
            options.SEARCH,
            options.SCORER,
            options.TREE,
            options.FILE,
            options.THEN,
            options.SYSTEM,
            options.MAX_TOKENS,
            options.TEMPERATURE,
            options.TOP_K,
            options.TOP_P,
            options.MIN_P,
            options.SAMPLES,
            options.STOP,
            options.KEEP_STOP,
            options.LOGPROBS,
            options.WEIGHTS,
            options.SEED,
            options.BUDGET,
            options.PRICES,
            options.THREADS,
            options.JSON,
            options.JSON_LINES,
            options.QUIET,
            options.VERBOSE,
        ),
    ),
    "compare": Verb(
        "Run the same line again to go on after a stop; add recipes, budgets or tasks, and only "
        "what is missing is asked.",
        options.RECIPES._replace(
            help="Methods, or whole recipes, beside the exact run of the model."
        ),
        (*_ASKED, options.QUIET, options.VERBOSE),
    ),
    "compress": Verb(
        "",
        options.QUESTION,
        (
            options.MODEL_HERE,
            options.DRAFT,
            options.APPROXIMATE,
            options.FILE,
            options.THREADS,
            options.JSON,
            options.QUIET,
            options.VERBOSE,
        ),
    ),
    "evaluate": Verb(
        "The report holds nothing that is measured by a clock, so it is the same however often "
        "the evaluation was stopped.",
        options.RECIPES._replace(help="Methods, `exact`, or whole recipes; exact if none."),
        (*_ASKED, options.CSV, options.MARKDOWN, options.QUIET, options.VERBOSE),
    ),
    "forecast": Verb(
        "No model is asked: `compare` with a strategy keeps the answers that this reads.",
        options.RECIPES._replace(help="Strategies or whole recipes; all that were run if none."),
        (
            options.MODEL,
            options.DRAFT,
            options.TASKS,
            options.FALSE_POSITIVES,
            options.PENALTY,
            options.RESULTS,
            options.REPORTS,
            options.JSON,
            options.VERBOSE,
        ),
    ),
    "tune": Verb(
        "`compare` with the strategies keeps the answers that this reads; difficulty-router "
        "follows the plan.",
        options.STRATEGIES,
        (
            options.MODEL,
            options.DRAFT,
            options.TASKS,
            options.PROBE,
            options.BY,
            options.BINS,
            options.WORTH,
            options.RESULTS,
            options.PLAN,
            options.JSON,
            options.VERBOSE,
        ),
    ),
    "list": Verb("", options.FAMILY, (options.JSON,)),
    "show": Verb("", options.NAME, (options.JSON,)),
    "pull": Verb("", options.FETCHED, (options.AGAIN, options.QUIET, options.VERBOSE)),
}

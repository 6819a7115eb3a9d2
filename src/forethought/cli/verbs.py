"""The flags and argument of each verb.

A verb names the fields of `Recipe` that it takes, and lists only its own options besides. Help,
completion and errors read these tables alone; a verb's module is imported when the verb runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from forethought.cli import options
from forethought.cli.grammar import Option, Verb
from forethought.cli.recipe_flags import recipe_flags


class _Takes(NamedTuple):
    argument: Option[Any] | None
    own: tuple[Option[Any], ...]
    fields: Sequence[str] | None = ()
    """The fields of `Recipe` among its flags; None for all of them."""
    details: str = ""
    """Help below the summary."""
    reworded: Mapping[str, str] = {}
    """Help of fields that are narrower here than the recipe's docstring says."""


_ON = ("model", "draft")
_ARENA = _Takes(
    options.RECIPES,
    (
        options.KEEPS,
        options.AS_PUBLISHED,
        options.TASKS,
        options.ANSWERS,
        options.HOLDOUT,
        options.JUDGED,
        options.LEVELS,
        options.SKIP_BAD,
        options.SANDBOX,
        options.PRICES,
        options.ABSTAIN_LEVEL,
        options.RESULTS,
        options.REPORTS,
        options.INSPECT_LOGS,
        options.THREADS,
        options.RAY,
        options.RAY_ACTORS,
        options.JSON,
    ),
    (*_ON, "temperature", "top_p", "max_tokens", "budget", "weights", "seed", "confidence"),
    reworded={"budget": "Maximum that a search spends on a question: 1000tok or 2TFLOP."},
)
"""What `compare` and `evaluate` share."""
_LOUDNESS = (options.QUIET, options.VERBOSE)

_TAKES = {
    "ask": _Takes(
        options.QUESTION,
        (
            options.FILE,
            options.THEN,
            options.SYSTEM,
            options.TREE,
            options.PRICES,
            options.SPEND,
            options.VALUE,
            options.WRONG,
            options.USD_PER_HOUR,
            options.THREADS,
            options.JSON,
            options.JSON_LINES,
            *_LOUDNESS,
        ),
        fields=None,
    ),
    "compare": _ARENA._replace(
        argument=options.RECIPES._replace(
            help="Methods, or whole recipes, beside the exact run of the model."
        ),
        own=(*_ARENA.own, *_LOUDNESS),
        details="Run the same line again to resume after a stop. With more recipes, budgets or "
        "tasks, only missing samples are asked.",
    ),
    "compress": _Takes(
        options.QUESTION,
        (options.FILE, options.THREADS, options.JSON, *_LOUDNESS),
        (*_ON, "approximate"),
        reworded={"model": "A name, hub id, folder or GGUF file; or a recipe."},
    ),
    "evaluate": _ARENA._replace(
        argument=options.RECIPES._replace(
            help="Methods, `exact`, or whole recipes; exact if none."
        ),
        own=(*_ARENA.own, options.CSV, options.MARKDOWN, *_LOUDNESS),
        details="The report holds no timings, so a resumed evaluation prints the same report.",
    ),
    "cost": _Takes(
        options.RECIPES._replace(help="With -t: strategies or recipes; all stored ones if none."),
        (
            options.ON,
            options.PROMPT_TOKENS,
            options.ANSWER_TOKENS,
            options.BATCH,
            options.ANSWERS,
            options.ACCELERATORS,
            options.PROBE,
            options.PRICE_FILE,
            options.USD_PER_HOUR,
            options.TIMED,
            options.CHARTS,
            options.TASKS,
            options.RESULTS,
            options.HUMAN,
            options.THREADS,
            options.JSON,
            options.VERBOSE,
        ),
        (*_ON, "approximate", "weights"),
        "Sizes come from a table of common models, from a folder's config.json or from the hub. "
        "Times on the table's hardware are lower bounds. With -t, the price of a right answer "
        "(cost-of-pass) of stored answers, by the roofline of the hardware.",
        reworded={"model": "A known model, hub id or folder; or a recipe."},
    ),
    "forecast": _Takes(
        options.RECIPES._replace(help="Strategies or whole recipes; all stored ones if none."),
        (
            options.TASKS,
            options.UP_TO,
            options.PFN,
            options.CURVES,
            options.PRIOR,
            options.AGAINST,
            options.DESCRIBE,
            options.SEEN,
            options.FALSE_POSITIVES,
            options.MEASURED,
            options.PENALTY,
            options.COMPLETENESS,
            options.ATTEMPT_PRICE,
            options.RESULTS,
            options.REPORTS,
            options.JSON,
            options.VERBOSE,
        ),
        _ON,
        "No model runs: `compare` with a strategy stores the answers that this reads.",
    ),
    "tune": _Takes(
        options.STRATEGIES,
        (
            options.TASKS,
            options.TUNE_PROBE,
            options.BY,
            options.BINS,
            options.WORTH,
            options.CALIBRATE,
            options.SETTINGS,
            options.TRIALS,
            options.LOSS,
            options.SURROGATE,
            options.ENGINE,
            options.OBJECTIVE,
            options.USD_PER_HOUR,
            options.TRAIN_PFN,
            options.STEPS,
            options.RESULTS,
            options.PLAN,
            options.JSON,
            options.VERBOSE,
        ),
        _ON,
        "`compare` with the strategies stores the answers that this reads; difficulty-router "
        "follows the plan. With --calibrate, `evaluate --confidence NAME` stores them, and later "
        "answers name the calibration.",
    ),
    "audit": _Takes(
        options.ORDER,
        (
            options.REFERENCE,
            options.PREFIX,
            options.WINDOW,
            options.PERMUTATIONS,
            options.THREADS,
            options.JSON,
            *_LOUDNESS,
        ),
        ("model", "weights", "seed"),
        "Later training sequences are recalled better, by derived models too. The p-value is valid "
        "if the order was drawn at random. Paper: arXiv:2510.19796, query setting.",
        reworded={"model": "The model under test.", "seed": "Seed of the random orders."},
    ),
    "serve": _Takes(
        None,
        (
            options.SERVED,
            options.ALLOWED,
            options.HOST,
            options.PORT,
            options.KEY_VARIABLE,
            options.KEY_FILE,
            options.OPEN,
            options.CONCURRENT,
            options.REQUESTS,
            options.PREFIX_CACHE,
            options.REQUEST_SECONDS,
            options.LOG_PROMPTS,
            options.PRICES,
            options.THREADS,
            *_LOUDNESS,
        ),
        (
            "draft",
            "approximate",
            "search",
            "scorer",
            "budget",
            "weights",
            "confidence",
            "abstain_below",
        ),
        "Clients name a model, or a recipe as the model: smollm2+specpc-shallow(keep=512).",
        reworded={
            "approximate": "Methods of requests that name the default model alone; repeatable.",
            "search": "The strategy of requests that name the default model alone.",
            "confidence": "How sure answers of the default model are, by a scorer; repeatable.",
        },
    ),
    "runs": _Takes(
        options.RUNS_ACTION,
        (options.WHY, options.JSON),
        details="Runs of servers are stored, and those of `ask --spend`.",
    ),
    "list": _Takes(options.FAMILY, (options.JSON,)),
    "show": _Takes(options.NAME, (options.JSON,)),
    "pull": _Takes(options.FETCHED, (options.AGAIN, *_LOUDNESS)),
}


@cache
def table(verb: str) -> Verb:
    """The flags and argument of a verb: those of its recipe first."""
    takes = _TAKES[verb]
    flags = () if takes.fields == () else recipe_flags()
    chosen = (one for one in flags if takes.fields is None or one.name in takes.fields)
    told = (one._replace(help=takes.reworded.get(one.name, one.help)) for one in chosen)
    return Verb(takes.details, takes.argument, (*told, *takes.own))

"""`forethought ask`: answer a question, streaming."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.inputs import asked, check_letters
from forethought.cli.progress import Progress
from forethought.cli.recipes import described
from forethought.cli.screen import Form, Screen
from forethought.cli.stored_probe import checked_price
from forethought.cli.terminal import report
from forethought.cli.torch_start import start_torch
from forethought.contracts.errors import StoreError, UsageError
from forethought.recipes.recipe import Recipe
from forethought.reports.terminal.search_tree import search_tree, tree_page


def run(given: Given) -> int:
    """Answer a question, about a document if one is given."""
    _check_letters(given)
    recipe = described(given)
    form = _form(given)
    streams = recipe.samples == 1 and recipe.plain and not given[options.SPEND]
    quiet, verbose = given[options.QUIET], given[options.VERBOSE]
    system = given[options.SYSTEM]
    beside = {} if system is None else {"system": system}
    per_hour = checked_price(given[options.USD_PER_HOUR])
    screen = Screen(sys.stdout, sys.stderr, form, streams, quiet, verbose, beside, per_hour)
    if tree := given[options.TREE]:
        files.check(Path(tree), _TREES)
        if not (recipe.search or given[options.SPEND]):
            raise UsageError("--tree needs a search", "name a strategy: -s majority-vote")
    _check_spending(given)
    if given[options.THEN] and form == "json":
        raise UsageError("--json prints one run, and --then asks for several", "use --jsonl")
    return _answer(given, recipe, screen)


def _check_spending(given: Given) -> None:
    """Raise UsageError for options of --spend that have no effect."""
    stakes = given[options.VALUE] or given[options.WRONG] is not None
    if stakes and not given[options.SPEND]:
        raise UsageError("--value and --penalty are the stakes of --spend", "add: --spend auto")
    if given[options.SPEND] and given[options.THEN]:
        raise UsageError("--spend answers one question", "leave out --then")


def _form(given: Given) -> Form:
    """The format of standard output."""
    if given[options.JSON] and given[options.JSON_LINES]:
        raise UsageError("--json and --jsonl exclude each other", "choose one of them")
    return "json" if given[options.JSON] else "jsonl" if given[options.JSON_LINES] else "text"


def _check_letters(given: Given) -> None:
    check_letters("the question", given[options.QUESTION] or "")
    stops = given.recipe.get("stop", ())
    for text in (given[options.SYSTEM] or "", *given[options.THEN], *stops):
        check_letters(repr(text), text)


def _answer(given: Given, recipe: Recipe, screen: Screen) -> int:
    ask_for = asked(given[options.QUESTION], given[options.FILE])
    start_torch(given[options.THREADS])
    from forethought.sessions.ask import conversation, stream

    progress = Progress(screen.err, screen.quiet).show
    document, system = ask_for.document, given[options.SYSTEM]
    later = [text for text in given[options.THEN] if text]
    if not later:
        events = stream(
            recipe,
            ask_for.question,
            document,
            system=system,
            prices=given[options.PRICES],
            spend=given[options.SPEND],
            value=given[options.VALUE],
            penalty=given[options.WRONG],
            progress=progress,
        )
        code = screen.show(events)
        if given[options.SPEND] and screen.run:
            _keep(screen, ask_for.question)
        tree = given[options.TREE]
        if tree and screen.run:  # after the answer, in case writing fails
            files.write(Path(tree), _TREES[Path(tree).suffix](screen.run))
        return code
    talk = conversation(recipe, document, system=system, progress=progress)
    codes = (screen.show(talk.stream(text)) for text in (ask_for.question, *later))
    return next(filter(None, codes), 0)  # a turn that ends early ends the conversation


def _keep(screen: Screen, question: str) -> None:
    """Store the run for `forethought runs`; a failure costs no answer."""
    from forethought.storage.location import served_runs_file
    from forethought.storage.run_log import RunLog, ServedRun

    assert screen.run, "shown"
    try:
        with closing(RunLog.open(served_runs_file())) as log:
            log.record(ServedRun(screen.run["run"], time.time(), screen.events, question))
    except StoreError as error:
        report(f"the run is not stored: {error.message}", screen.err)


_TREES = {".svg": search_tree, ".html": tree_page}

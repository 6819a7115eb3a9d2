"""`forethought ask`: answer a question, streaming."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.inputs import asked, check_letters
from forethought.cli.progress import Progress
from forethought.cli.recipes import methods, named
from forethought.cli.screen import Form, Screen
from forethought.cli.torch_start import start_torch
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe, is_remote
from forethought.reports.terminal.search_tree import search_tree, tree_page


def run(given: Given) -> int:
    """Answer a question, about a document if one is given."""
    _check_letters(given)
    recipe = _recipe(given)
    form = _form(given)
    streams = recipe.samples == 1 and not recipe.search and not is_remote(recipe.model)
    quiet, verbose = given[options.QUIET], given[options.VERBOSE]
    system = given[options.SYSTEM]
    beside = {} if system is None else {"system": system}
    screen = Screen(sys.stdout, sys.stderr, form, streams, quiet, verbose, beside)
    if tree := given[options.TREE]:
        files.check(Path(tree), _TREES)
        if not recipe.search:
            raise UsageError("there is no search to draw", "name a strategy: -s majority-vote")
    if given[options.THEN] and form == "json":
        raise UsageError("--json holds one run, but --then asks again", "use --jsonl")
    return _answer(given, recipe, screen)


def _recipe(given: Given) -> Recipe:
    """The recipe of `ask`, whose options are all the fields there are."""
    base = named(given[options.MODEL])
    search = given[options.SEARCH]
    if search is not None and not search.strip():
        raise UsageError("no strategy is named", "name one behind -s, or leave out -s")
    strategy, ranked = (*spelling.split(search or "", "@"), "", "")[:2]
    return replace(
        base,
        draft=given[options.DRAFT] or base.draft,
        approximate=(*base.approximate, *methods(given[options.APPROXIMATE])),
        max_tokens=given[options.MAX_TOKENS],
        temperature=given[options.TEMPERATURE],
        top_k=given[options.TOP_K],
        top_p=given[options.TOP_P],
        min_p=given[options.MIN_P],
        samples=given[options.SAMPLES],
        stop=given[options.STOP],
        keep_stop=given[options.KEEP_STOP],
        logprobs=given[options.LOGPROBS],
        weights=given[options.WEIGHTS],
        seed=given[options.SEED],
        budget=given[options.BUDGET],
        search=strategy or base.search,
        scorer=given[options.SCORER] or ranked or base.scorer,
    )


def _form(given: Given) -> Form:
    """What is written to standard output."""
    if given[options.JSON] and given[options.JSON_LINES]:
        raise UsageError("--json and --jsonl exclude each other", "choose one of them")
    return "json" if given[options.JSON] else "jsonl" if given[options.JSON_LINES] else "text"


def _check_letters(given: Given) -> None:
    check_letters("the question", given[options.QUESTION] or "")
    for text in (given[options.SYSTEM] or "", *given[options.THEN], *given[options.STOP]):
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
            progress=progress,
        )
        code = screen.show(events)
        tree = given[options.TREE]
        if tree and screen.run:  # the answer stands already, should this fail
            files.write(Path(tree), _TREES[Path(tree).suffix](screen.run))
        return code
    talk = conversation(recipe, document, system=system, progress=progress)
    codes = (screen.show(talk.stream(text)) for text in (ask_for.question, *later))
    return next(filter(None, codes), 0)  # what ends one turn early ends the conversation


_TREES = {".svg": search_tree, ".html": tree_page}

"""`forethought ask`: answer a question, streaming."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.inputs import asked
from forethought.cli.progress import Progress
from forethought.cli.screen import Form, Screen
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.reports.search_tree import search_tree, tree_page
from forethought.runs.recipe import Recipe, is_remote


def ask(
    question: options.Question = None,
    model: options.Model = Recipe.model,
    draft: options.Draft = None,
    approximate: options.Approximate = None,
    search: options.Search = None,
    scorer: options.Scorer = Recipe.scorer,
    tree: options.Tree = None,
    file: options.File = None,
    then: options.Then = None,
    system: options.System = None,
    max_tokens: options.MaxTokens = Recipe.max_tokens,
    temperature: options.Temperature = None,
    top_k: options.TopK = Recipe.top_k,
    top_p: options.TopP = Recipe.top_p,
    min_p: options.MinP = Recipe.min_p,
    samples: options.Samples = Recipe.samples,
    stop: options.Stop = None,
    keep_stop: options.KeepStop = False,
    logprobs: options.LogProbs = Recipe.logprobs,
    weights: options.Weights = Recipe.weights,
    seed: options.Seed = Recipe.seed,
    budget: options.Budget = Recipe.budget,
    price: options.Prices = None,
    threads: options.Threads = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Answer a question, about a document if one is given."""
    base = named(model)
    if search is not None and not search.strip():
        raise UsageError("no strategy is named", "name one behind -s, or leave out -s")
    strategy, ranked = (*spelling.split(search or "", "@"), "", "")[:2]
    recipe = Recipe(
        model=base.model,
        draft=draft or base.draft,
        approximate=(*base.approximate, *methods(approximate)),
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        samples=samples,
        stop=tuple(stop or ()),
        keep_stop=keep_stop,
        logprobs=logprobs,
        weights=weights,
        seed=seed,
        budget=budget,
        search=strategy or base.search,
        scorer=scorer or ranked or base.scorer,
    )
    streams = samples == 1 and not recipe.search and not is_remote(recipe.model)
    screen = Screen(sys.stdout, sys.stderr, form(json, jsonl), streams, quiet, verbose)
    if tree:
        files.check(Path(tree), _TREES)
        if not recipe.search:
            raise UsageError("there is no search to draw", "name a strategy: -s majority-vote")
    if then and json:
        raise UsageError("--json holds one run, but --then asks again", "use --jsonl")
    questions, paid = [question, *(then or [])], price or []
    return _answer(recipe, questions, file or [], system, paid, threads, screen, tree)


def named(model: str) -> Recipe:
    """The recipe that --model names: a model alone, or with a draft and methods."""
    return Recipe(model=model) if Path(model).exists() else Recipe.parse(model)


def named_alone(model: str) -> Recipe:
    """The same for verbs whose --model names no search."""
    base = named(model)
    if base.search:
        raise UsageError(
            f"--model names the search {base.search}, which would not be done",
            "name strategies as recipes, and leave --model a model and its methods",
        )
    return base


def methods(given: Sequence[str] | None) -> list[str]:
    """The spellings of all methods, where each text may hold several joined by +."""
    return [one for text in given or () for one in spelling.split(text, "+")]


def form(json: bool, jsonl: bool) -> Form:
    """What is written to standard output."""
    if json and jsonl:
        raise UsageError("--json and --jsonl exclude each other", "choose one of them")
    return "json" if json else "jsonl" if jsonl else "text"


def _answer(
    recipe: Recipe,
    questions: Sequence[str | None],
    documents: list[str],
    system: str | None,
    prices: Sequence[str],
    threads: int | None,
    screen: Screen,
    tree: str | None,
) -> int:
    ask_for = asked(questions[0], documents)
    # Imported this late since they bring torch, which other verbs must not wait for.
    import torch

    from forethought.runs.ask import conversation, stream

    if threads:
        torch.set_num_threads(threads)
    progress = Progress(screen.err, screen.quiet).show
    document, later = ask_for.document, [text for text in questions[1:] if text]
    if not later:
        events = stream(
            recipe,
            ask_for.question,
            document,
            system=system,
            prices=prices,
            progress=progress,
        )
        code = screen.show(events)
        if tree and screen.run:  # the answer stands already, should this fail
            files.write(Path(tree), _TREES[Path(tree).suffix](screen.run))
        return code
    talk = conversation(recipe, document, system=system, progress=progress)
    codes = (screen.show(talk.stream(text)) for text in (ask_for.question, *later))
    return next(filter(None, codes), 0)  # what ends one turn early ends the conversation


_TREES = {".svg": search_tree, ".html": tree_page}

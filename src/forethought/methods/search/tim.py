"""Reason in a tree of subtasks, and drop finished subtasks from the KV cache.

Paper: Thread Inference Model (TIM) and TIMRUN, arXiv:2507.16784
Published: paper; Paper: a model trained for the tree, and tools. Here: any model under the JSON
    schema of the tree, no tools, and texts of bounded length.
Exact: equals the same constrained decode if `buffer` is at least the number of finished lists.
Cost: the tokens of the tree, and a prefill of the kept text after each dropped list.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.search import Ability, Ask, Candidate, Found, Search, Strategy, write
from forethought.methods.search._answers import budget_spent, reprompted
from forethought.methods.search._task_tree import TaskTree, dropped_spans, tree_schema

_PROMPT = """{asked}

Reply with one JSON object: {{"reasoning": [task, ...], "answer": "..."}}
A task is {{"thought": "...", "subtasks": [task, ...], "conclusion": "..."}}. Leave "subtasks" out \
of a task that needs none.
You forget the subtasks of a finished list, so each "conclusion" must state every result that \
later tasks need. "answer" holds the final answer alone."""


@dataclass(frozen=True)
class Tim(Strategy):
    """The answer of a tree of subtasks."""

    buffer: CountOrZero = 2
    """The newest finished lists of subtasks that stay in the KV cache; the paper has 0 to 2."""
    longest: Count = 2000
    """Most characters of a thought, a conclusion and the answer."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps", "schemas"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Decode the tree list by list, and take its answer."""
        asked = reprompted(start, _PROMPT.format(asked=start.asked))
        tree = TaskTree()
        grown = yield from self._grown(replace(asked, schema=tree_schema(self.longest)), tree)
        answer = _answer(grown)
        # The text of an unfinished tree is no answer, though a checker may find numbers in it.
        best = replace(grown, steps=(answer or "",), lengths=(grown.tokens,))
        if budget_spent([grown]):
            return Found(
                best, notes=("the budget ended before the tree of subtasks had an answer",)
            )
        lists = len(dropped_spans(tree.finished, self.buffer))
        note = f"a tree of {tree.tasks} tasks; lists of subtasks dropped from the cache: {lists}"
        lacking = () if answer is not None else (_unfinished(grown),)
        return Found(best, (best,), (1.0,), notes=(note, *lacking))

    def _grown(self, one: Candidate, tree: TaskTree) -> Generator[Ask, Any, Candidate]:
        """The whole tree, or as much of it as there are tokens for."""
        while not one.done:
            (one,) = yield from write([one], until="step", delimiter="]")
            tree.grow(one.text)
            one = replace(one, dropped=dropped_spans(tree.finished, self.buffer))
        return one


def _answer(grown: Candidate) -> str | None:
    """The tree's answer; None if the model did not come to one."""
    try:
        found = str(json.loads(grown.text[grown.text.index("{") :])["answer"])
    except (ValueError, RecursionError):
        return None
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unfinished(grown: Candidate) -> str:
    return (
        f"the model wrote {grown.tokens:,} tokens, and its tree of subtasks has no answer: allow "
        "more --max-tokens, or use a larger model, since small ones seldom end such a tree"
    )

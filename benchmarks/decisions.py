"""Typed decisions about one state: seconds and tokens for 1 to 400 questions.

python benchmarks/decisions.py smollm2
"""

from __future__ import annotations

import sys
import time

from forethought.models.load import load
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.decisions import DecisionQuestion, decide
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession

STATE = "The printer on floor two is out of paper, and nobody on call answered the ticket. "
CHARACTERS = 16_000
COUNTS = (1, 1, 10, 100, 400)


def main() -> None:
    """Print a row for each number of questions; the first one warms the model up."""
    name = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
    model, recipe = load(name), Recipe(model=name, draft="self")
    session = LiveSession(LocalOpener(lambda name, weights: model, recipe))
    print("questions  tokenized  answered  tokens read  of")
    for count in COUNTS:
        print("{:9}  {:8.2f}s  {:7.2f}s  {:11,}  {:,}".format(*row(session, model, recipe, count)))


def row(
    session: LiveSession, model: Model, recipe: Recipe, count: int
) -> tuple[int, float, float, int, int]:
    """Questions, seconds to tokenize and to answer, tokens prefilled, and tokens of all prompts."""
    state = (STATE * 200)[:CHARACTERS]
    questions = [
        DecisionQuestion("predicate", f"Is the ticket about topic {n}?") for n in range(count)
    ]
    start = time.perf_counter()
    search = decide(model, state, questions)
    tokenized = time.perf_counter()
    session.submit(
        LiveRequest(f"{count}", recipe, strategy=search, verdict_prompts=search.tokenized)
    )
    events = []
    while not session.idle:
        events += session.step()
    seconds = time.perf_counter() - tokenized
    run = events[-1][1].data["run"]  # type: ignore[union-attr]
    read = run["cost"]["scoring_tokens"]
    return count, tokenized - start, seconds, read, search.length(model.tokenizer)


if __name__ == "__main__":
    main()

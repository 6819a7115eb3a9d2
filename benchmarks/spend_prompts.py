"""Where `spend` reads a shortened prompt: simulated questions by length of prompt and loss.

    python -m benchmarks.spend_prompts

An answer has 60 tokens. The shortened prompt has a quarter of the tokens, and its success rate is
lower by the loss. Rates of questions are drawn around 0.7; wrong answers spread over six texts. The
strategy knows the mean rates of both prompts and the prices. A right answer is worth 60 answers of
60 tokens. Net values are in such answers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from benchmarks.spend_replay import Held, Replay, Stored

from forethought.contracts.search import Candidate, Writer
from forethought.methods.search.spend import Spend

TOKENS, QUESTIONS, ANSWERS, KEPT = 60, 200, 6, 0.25
WORTH = 60.0
HEADS = ("prompt", "loss", "shortened first", "both", "whole alone", "shortened alone")


def main() -> None:
    """Print the table."""
    print(f"| {' | '.join(HEADS)} |")
    print("|---" * len(HEADS) + "|")
    for prompt in (60, 600, 2400):
        for loss in (0.0, 0.05, 0.2, 0.5):
            print(row(prompt, loss))


def row(prompt: int, loss: float) -> str:
    """One row of the table."""
    replay = replace(Replay.of(questions(prompt, loss), WORTH, orders=1), unit=float(TOKENS))
    rule = Spend(value=f"{WORTH * TOKENS:g}FLOP", n=ANSWERS, length=TOKENS)
    both, told = replay.rule(replace(rule, shortened=True), learns=True)
    whole, _ = replay.rule(rule, learns=True)
    short, _ = shortened_alone(replay).rule(rule, learns=True)
    first = np.mean([one.writers[:1] == ("shortened",) for one in told])
    cells = [f"{prompt:,} tokens", f"{loss:.2f}", f"{first:.0%}"]
    cells += [f"{one.mean():.2f}" for one in (both, whole, short)]
    return f"| {' | '.join(cells)} |"


def questions(prompt: int, loss: float, seed: int = 0) -> list[Stored]:
    """Stored answers with known rates, from equal draws for all losses; a FLOP is a token."""
    rng = np.random.default_rng(seed)
    found = []
    for rate in rng.beta(7, 3, size=QUESTIONS):
        draws = rng.random((2, ANSWERS))
        wrong = rng.integers(11, 17, size=(2, ANSWERS))
        whole = held("target", draws[0] < rate, wrong[0], float(prompt))
        short = held("shortened", draws[1] < rate - loss, wrong[1], KEPT * prompt)
        found.append(Stored({"target": whole, "shortened": short}))
    return found


def held(writer: Writer, right: np.ndarray, wrong: np.ndarray, prompt: float) -> Held:
    """Answers of one writer: 10 where it is right, else a wrong number."""
    answers = [
        Candidate((n,), asked="?", steps=(f"The answer is {text}.",), tokens=TOKENS,
                  log_probability=-10.0, scored_tokens=TOKENS, finish="stop", writer=writer)
        for n, text in enumerate(np.where(right, 10, wrong).tolist())
    ]  # fmt: skip
    return Held(answers, right.astype(float).tolist(), prompt, 1.0)


def shortened_alone(replay: Replay) -> Replay:
    """The replay with the shortened prompt in the place of the whole one."""
    stored, orders = [], []
    for one, own in zip(replay.stored, replay.orders, strict=True):
        short = one.held["shortened"]
        answers = [replace(answer, writer="target") for answer in short.answers]
        stored.append(Stored({"target": short._replace(answers=answers)}))
        orders.append([{"target": order["shortened"]} for order in own])
    return replace(replay, stored=stored, orders=orders)


if __name__ == "__main__":
    main()

"""Serves a strategy's asks from a law, without a driver: fast enough for thousands of searches.

Each child of each parent is an independent draw; what was asked is kept.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from forethought.backends.known import END
from forethought.contracts.search import Candidate, Group, Piece, Score, Write
from tests.driver.searches import Rule, searched


def ranked(question, text):
    """Two lines of a or b; the second leans to what the first was."""
    lines = text.split("\n")
    if len(lines) == 3:
        return {END: 1.0}
    if lines[-1]:
        return {"\n": 1.0}
    return {"a": 0.6, "b": 0.4} if lines[0] in ("", "a") else {"a": 0.3, "b": 0.7}


def uneven(question, text):
    """One to three lines: after each line but the last, the answer may end."""
    lines = text.split("\n")
    if len(lines) == 4:
        return {END: 1.0}
    if lines[-1]:
        return {"\n": 1.0}
    return {"a": 0.5, "b": 0.3, END: 0.2} if len(lines) > 1 else {"a": 0.6, "b": 0.4}


@functools.cache
def liking(text):
    """A score that likes a, the more the later; what has no line yet is worth a half."""
    lines = [line for line in text.split("\n") if line]
    value = sum((line == "a") * (place + 1) for place, line in enumerate(lines))
    return (0.5 + value) / (1 + sum(range(len(lines) + 1)))


@dataclass
class Hand:
    """One search at a time, by a law and a rule for scores."""

    law: object
    rule: object = liking
    seed: int = 0
    asks: list = field(default_factory=list)

    def run(self, search):
        """What a generator returns once all it asks for is served."""
        self.children, self.rng = Counter(), random.Random(self.seed)
        value = None
        try:
            while True:
                ask = search.send(value)
                self.asks.append(ask)
                value = self.served(ask)
        except StopIteration as stopped:
            return stopped.value

    def search(self, strategy):
        return self.run(strategy.search(Candidate(), np.random.default_rng([self.seed, 1])))

    def served(self, ask):
        match ask:
            case Write():
                return [self.child(one, ask) for one in ask.parents]
            case Score():
                return [self.rule(one.text) for one in ask.candidates]
            case Group():
                known = {}
                return [known.setdefault(one.text, len(known)) for one in ask.candidates]

    def child(self, parent, ask):
        if parent.done:
            return parent
        number = self.children[parent.path]
        self.children[parent.path] += 1
        text, tokens, log_probability, finish = "", 0, 0.0, ""
        while not finish:
            tokens_there, cumulative, logs = chances(self.law, parent.text + text)
            (token,) = self.rng.choices(tokens_there, cum_weights=cumulative)
            log_probability += logs[token]
            if token == END:
                finish = "stop"
                continue
            text, tokens = text + token, tokens + 1
            if ask.until == "step" and ask.delimiter in text:
                finish = "step"
        return parent.grown(number, Piece(text, (), tokens, log_probability, finish))


@functools.cache
def chances(law, text):
    """The tokens behind a text, their cumulative chances, and the logarithm of each chance."""
    found = law("", text)
    logs = {token: math.log(chance) for token, chance in found.items() if chance > 0}
    return [*found], [*itertools.accumulate(found.values())], logs


@functools.cache
def written_out(law, delimiter="\n"):
    """The chance of every whole answer, by its steps; steps may be empty at the end."""
    found = {}

    def walk(steps, piece, chance):
        for token, share in law("", "".join(steps) + piece).items():
            if token == END:
                found[(*steps, piece)] = chance * share
            elif delimiter in piece + token:
                walk((*steps, piece + token), "", chance * share)
            else:
                walk(steps, piece + token, chance * share)

    walk((), "", 1.0)
    return found


def odds(score):
    return score / (1 - score)


@functools.cache
def weighted(law, rule, target, temperature=1.0):
    """The exact law of answers weighed by odds, by text; and the mean weight of plain ones."""
    weights = {}
    for steps, chance in written_out(law).items():
        scores = [odds(rule("".join(steps[: at + 1]))) for at in range(len(steps))]
        weight = scores[-1] if target == "answer" else math.prod(scores)
        weights["".join(steps)] = chance * weight ** (1 / temperature)
    evidence = sum(weights.values())
    return {text: weight / evidence for text, weight in weights.items()}, evidence


def distance(texts, law):
    """Total variation between what was seen and a law by text."""
    counts, total = Counter(texts), len(texts)
    return sum(abs(counts[text] / total - law.get(text, 0.0)) for text in {*law, *counts}) / 2


def lines(chance=0.5, count=2):
    """Answers of so many lines, each a with this chance, else b; no answer ends in a line."""

    def law(question, text):
        if text.count("\n") == count - 1 and not text.endswith("\n"):
            return {END: 1.0}
        if text and not text.endswith("\n"):
            return {"\n": 1.0}
        return {"a": chance, "b": 1 - chance}

    return law


def promising(text):
    """1 where every line so far is a."""
    return float("b" not in text)


def driven(strategy, law=ranked, rule=liking, **settings):
    """What the driver makes of a search; `scorer` instead of `rule` for more than texts."""
    return searched(strategy, law, **{"scorer": Rule(rule), **settings})


def tokens_of(found):
    """Tokens of all steps that lead to what was considered or given up, each counted once.

    Tokens of these laws are letters.
    """
    steps = {}
    for one in (*found.considered, *found.pruned):
        for size, text in enumerate(one.steps, start=1):
            steps[one.path[:size]] = text
    return sum(len(text) for text in steps.values())

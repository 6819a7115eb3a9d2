"""Searches on laws whose every probability is known."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from forethought.backends.known import END, KnownBackend
from forethought.contracts.questions import Question
from forethought.contracts.search import Found, Scorer, Strategy, write
from forethought.cost.budget import spend_limit
from forethought.driver.driver import Driver
from forethought.driver.job import Job

QUESTION = Question("q", "What?")


def three_steps(question, text):
    """Three lines of one letter each, the later the more the earlier ones decide."""
    lines = text.split("\n")
    if len(lines) == 4:
        return {END: 1.0}
    if len(lines[-1]) == 1:
        return {"\n": 1.0}
    lean = 0.2 * (lines[0] == "a")
    return {"a": 0.5 + lean, "b": 0.3 - lean, "c": 0.2}


def coin(chance=0.7, length=3):
    """Answers of `length` tokens, all of one letter: a with this chance, else b."""

    def law(question, text):
        if not text:
            return {"a": chance, "b": 1 - chance}
        return {END: 1.0} if len(text) == length else {text[0]: 1.0}

    return law


@dataclass
class Kept:
    """A journal in memory."""

    outcomes: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def get(self, key):
        self.asked.append(key)
        return self.outcomes.get(key)

    def put(self, outcome):
        assert outcome.key not in self.outcomes, "asked twice"
        self.outcomes[outcome.key] = outcome


@dataclass(frozen=True)
class Whole:
    """A reader to whom a text is its own answer; the empty text is none."""

    def group(self, candidates):
        known = {}
        texts = [one.text if one.finish == "stop" else "" for one in candidates]
        return [known.setdefault(text, len(known)) if text else None for text in texts]

    def state(self, candidates):
        return [one.text if one.finish == "stop" else "" for one in candidates]


@dataclass(frozen=True)
class Rule(Scorer):
    """A scorer that is a function of the text."""

    rule: object

    def score(self, question, candidates):
        return [self.rule(one.text) for one in candidates]
        yield


def job(strategy, *, scorer=None, budget="", **changes):
    base = Job("run", QUESTION, strategy, Whole(), scorer, spend_limit(budget), max_tokens=30)
    return replace(base, **changes)


def searched(strategy, law=three_steps, *, backend=None, **settings):
    """What becomes of one search; its Found where it went well."""
    (done,) = Driver(backend or KnownBackend(law)).run([job(strategy, **settings)])
    if done.error:
        raise done.error
    return done


def delays(seed):
    """Latencies by chance, for requests that overtake each other."""
    rng = random.Random(seed)
    return lambda key: rng.choice([0.1, 0.5, 1.0, 3.0])


class Twice(Strategy):
    """Three answers, and three more."""

    def search(self, start, rng):
        first = yield from write([start] * 3)
        more = yield from write([start] * 3)
        return Found(first[0], (*first, *more))

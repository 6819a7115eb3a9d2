"""What is asked of a server in tests, and what the law it writes by would give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.backends.known import KnownBackend
from forethought.backends.openai.protocol import request_seed
from forethought.contracts.backend import Request
from forethought.contracts.search import Candidate
from forethought.cost.prices import Price
from tests.driver.searches import QUESTION, searched, three_steps

PRICES = {"toy": Price(prompt=1.0, output=10.0)}


class Derived(KnownBackend):
    """The law, drawn with the seeds that a server is given."""

    def _written(self, request):
        return super()._written(replace(request, seed=request_seed(request), stream=0))


def told(done):
    """All of the candidates but for what servers do not tell, their chances beside them."""
    found = done.found.considered
    return [replace(one, log_probability=0.0, scored_tokens=0, certainty=None) for one in found], [
        one.log_probability for one in found
    ]


def known(strategy, **settings):
    """What the law gives; chances that are sums may round otherwise."""
    found, chances = told(searched(strategy, backend=Derived(three_steps), **settings))
    return found, pytest.approx(chances)


def request(key="k", *, parent=None, path=(0,), **changes):
    base = Request(key, "run", QUESTION, parent or Candidate(), path, 0, 0, "end", "\n", None, 30)
    return replace(base, **changes)


def outcome_of(remote, asked):
    remote.submit(asked)
    (outcome,) = remote.poll()
    return outcome


def first_letter():
    return outcome_of(Derived(three_steps), request()).piece.text[0]

"""Several endpoints of one model as one: spread, lost, returned; nothing lost, nothing twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from forethought.backends.openai.endpoint import Endpoint, Patience, endpoints_of, spelled
from forethought.backends.openai.pool import STAY
from forethought.cli.main import exit_code
from forethought.contracts.backend import VerdictRequest
from forethought.contracts.errors import BadParameterError, RemoteError, UsageError
from forethought.contracts.records import Cost
from forethought.driver.driver import Driver
from forethought.methods.search.majority_vote import MajorityVote
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask
from forethought.sessions.remote_batch import Servers
from tests.backends.openai.openai_server import PROMPT_TOKENS
from tests.backends.openai.remote_asks import PRICES, known, outcome_of, request, told
from tests.driver.searches import job, searched

HASTY = Patience(attempts=4, first_wait=0.01, longest_wait=0.05, at_once=64)
UNENDING = {"continues": False}
"""A broken answer is then asked for anew, with its own seed."""


def pooled(toys, **changes):
    """A back end over these servers."""
    first, *others = toys
    settings = {"prices": PRICES, "patience": HASTY, **changes}
    replicas = tuple(Endpoint.parse(f"{one.base}/v1#toy") for one in others)
    return first.remote("toy", replicas=replicas, **settings)


def opened(toys, **settings):
    """A back end over these servers, which are probed and then set anew."""
    for one in toys:
        one.set(**settings)
    backend = pooled(toys)
    assert backend.capabilities.model == "toy"
    for one in toys:
        one.set(**settings)
    return backend


def counts(toys):
    return [len(one.told()["asked"]) for one in toys]


def test_candidates_are_those_of_one_server_and_both_write(mortals):
    with opened(mortals) as backend:
        done = searched(MajorityVote(n=40), backend=backend)

    assert told(done) == known(MajorityVote(n=40))
    assert sum(counts(mortals)) == 40
    assert abs(counts(mortals)[0] - counts(mortals)[1]) <= STAY + 1
    assert done.cost.prompt_tokens == 40 * PROMPT_TOKENS
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered)


def test_a_run_stays_with_the_server_that_has_its_prompt(mortals):
    with opened(mortals) as backend:
        outcome_of(backend, request("first"))
        for number in range(6):
            outcome_of(backend, request(f"k{number}"))
        assert sorted(counts(mortals)) == [0, 7]
        outcome_of(backend, replace(request("other"), run="another"))
        backend.release("run")

    assert sum(counts(mortals)) == 8


def test_many_runs_are_spread(mortals):
    """Requests are open at the same time, so that each goes to the server with fewer of them."""
    with opened(mortals, delay=0.02) as backend:
        for number in range(10):
            backend.submit(replace(request(f"k{number}"), run=f"run{number}"))
        left = 10
        while left:
            left -= len(backend.poll())

    assert counts(mortals) == [5, 5]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails_the_samples_are_those_of_one_server(mortals, seed):
    rng = random.Random(seed)
    kinds = [
        {"status": 429, "headers": {"Retry-After": "0.05"}},
        {"status": 500},
        {"drop": "before"},
        {"error": 2},
        {"drop": 3},
        None,
        None,
    ]
    with opened(mortals, **UNENDING) as backend:
        # One unlucky request may meet most of the faults.
        backend._pool.retries.patience = replace(HASTY, attempts=40)
        for one in mortals:
            one.set(*rng.choices(kinds, k=20), **UNENDING)
        done = searched(MajorityVote(n=24), backend=backend)

    assert told(done) == known(MajorityVote(n=24))
    assert done.cost.prompt_tokens == 24 * PROMPT_TOKENS
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered)


def test_a_server_that_is_killed_in_the_middle_loses_no_sample_and_charges_none_twice(mortals):
    with opened(mortals, delay=0.05, **UNENDING) as backend:
        killer = threading.Timer(0.15, mortals[1].kill)
        killer.start()
        done = searched(MajorityVote(n=30), backend=backend)
        killer.join()

    assert told(done) == known(MajorityVote(n=30))
    assert done.cost.prompt_tokens == 30 * PROMPT_TOKENS
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered)
    assert done.lost.prompt_tokens > 0  # some answers were cut


def test_an_answer_that_is_cut_goes_on_at_the_other_server(mortals):
    with opened(mortals) as backend:
        mortals[0].set({"drop": 3})
        found = outcome_of(backend, request())

    assert found.opened.notes == (
        f"{mortals[0].base}/v1 failed during the run, and another server took its requests",
    )
    (rest,) = mortals[1].told()["asked"]
    assert rest["messages"][-1]["content"] == found.piece.text[:3]
    assert found.piece.tokens == found.cost.output_tokens == 6
    assert found.cost.prompt_tokens == PROMPT_TOKENS


def test_a_lost_server_gets_requests_again_once_it_is_back(mortals):
    with opened(mortals) as backend:
        mortals[1].kill()
        first = searched(MajorityVote(n=30), backend=backend)
        mortals[1].start()
        time.sleep(2 * HASTY.longest_wait)
        later = [searched(MajorityVote(n=30), backend=backend, seed=seed) for seed in (1, 2)]

    assert all(done.error is None for done in (first, *later))
    assert counts(mortals)[1] > 5
    assert told(first) == known(MajorityVote(n=30))


def test_a_server_with_a_retry_after_is_left_alone_while_the_other_answers(mortals):
    with opened(mortals) as backend:
        mortals[0].set(*[{"status": 429, "headers": {"Retry-After": "500"}}] * 40)
        done = searched(MajorityVote(n=12), backend=backend)

    assert told(done) == known(MajorityVote(n=12))
    assert len(mortals[0].told()["asked"]) <= 6
    assert mortals[0].slept == []


def test_if_all_are_lost_the_error_says_so(mortals):
    with opened(mortals) as backend:
        for one in mortals:
            one.kill()
        found = outcome_of(backend, request())

    assert isinstance(found.error, RemoteError)
    assert "failed" in str(found.error)
    assert "4 attempts" in str(found.error)
    assert found.cost == Cost(usd=0.0)


def test_a_server_that_is_down_at_first_joins_later(mortals):
    mortals[1].kill()
    with pooled(mortals) as backend:
        assert backend.capabilities.model == "toy"
        first = searched(MajorityVote(n=20), backend=backend)
        mortals[1].start()
        time.sleep(2 * HASTY.longest_wait)
        for seed in range(1, 4):
            later = searched(MajorityVote(n=40), backend=backend, seed=seed)
            assert later.error is None

    assert told(first) == known(MajorityVote(n=20))
    assert any(one["max_tokens"] == 30 for one in mortals[1].told()["asked"])


def test_a_server_that_joins_later_with_less_gets_no_request(mortals):
    mortals[1].kill()
    with pooled(mortals) as backend:
        assert backend.capabilities.continues
        mortals[1].start()
        mortals[1].set(continues=False)
        time.sleep(2 * HASTY.longest_wait)
        done = [searched(MajorityVote(n=40), backend=backend, seed=seed) for seed in range(3)]

    assert all(one.error is None for one in done)
    assert not any(one["max_tokens"] == 30 for one in mortals[1].told()["asked"])


def test_no_server_at_first_is_an_error(mortals):
    for one in mortals:
        one.kill()
    with pooled(mortals) as backend, pytest.raises(RemoteError, match=r"connection to .* failed"):
        _ = backend.capabilities


def test_the_pool_has_the_abilities_that_all_have(mortals):
    mortals[1].set(logprobs=False)
    with pooled(mortals) as backend:
        assert backend.abilities == {"steps"}
        assert backend.capabilities.top == 0
        outcomes = [outcome_of(backend, replace(request(f"k{n}"), run=f"r{n}")) for n in range(2)]

    assert {one.piece.scored_tokens for one in outcomes} == {0}


@pytest.mark.parametrize(
    ("lacking", "message"),
    [({"chat": False}, "prompts of another form"), ({"models": ["other"]}, "serves 'other'")],
)
def test_servers_that_differ_are_no_pool(mortals, lacking, message):
    mortals[1].set(**lacking)
    first, second = mortals
    replicas = (Endpoint.parse(f"{second.base}/v1"),)
    with (
        first.remote("", replicas=replicas, patience=HASTY) as backend,
        pytest.raises(UsageError, match=message),
    ):
        _ = backend.capabilities


def test_verdicts_come_from_either_server(mortals):
    texts = tuple(f"judge {n}" for n in range(12))
    with opened(mortals) as backend:
        asked = VerdictRequest("v", "run", texts, ("yes", "no"))
        mortals[0].set({"drop": "before"}, {"status": 500})
        found = outcome_of(backend, asked)

    assert len(set(found.chances)) == 1
    assert found.cost.scoring_tokens == 12 * PROMPT_TOKENS
    assert all(counts(mortals))


def test_a_budget_in_dollars_holds_over_all_servers(mortals):
    with opened(mortals, **UNENDING) as backend:
        mortals[0].set(*[{"drop": 3}] * 4, **UNENDING)
        (done,) = Driver(backend).run([job(MajorityVote(n=12), budget="$0.0012")])

    assert done.error is None
    lost = done.lost.usd or 0.0
    assert 0 < done.cost.usd <= done.cost.usd + lost <= 0.0012


def test_the_key_goes_to_every_address_of_the_model(mortals, monkeypatch):
    monkeypatch.setenv("FORETHOUGHT_API_KEY", "hush-5678")
    for one in mortals:
        one.set(key="hush-5678")
    run = ask("What?", Recipe(model=address(mortals), max_tokens=20))

    assert run["answer"] == "a\na\na\n"
    assert {key for one in mortals for key in one.told()["keys"]} == {"Bearer hush-5678"}


def test_a_run_tells_of_a_server_that_failed(mortals):
    first = min(mortals, key=lambda one: one.base)  # gets the first request
    first.set(*[None] * len(probed(first)), {"drop": "before"})
    run = ask("What?", Recipe(model=address(mortals), max_tokens=20))
    (note,) = run["notes"]

    assert run["answer"] == "a\na\na\n"
    assert note.startswith(f"{first.base}/v1 failed during the run")


def probed(toy):
    """The requests by which a back end finds out what a server does."""
    with toy.remote("toy") as backend:
        assert backend.capabilities.model == "toy"
    return toy.told()["asked"]


def address(toys):
    return ",".join(f"{one.base}/v1" for one in toys) + "#toy"


def test_the_command_line_takes_several_addresses(mortals, capsys):
    line = ["ask", "What?", "-m", address(mortals), "--samples", "20", "--temperature", "1", "-q"]
    assert exit_code(line) == 0

    answers = [one["max_tokens"] for toy in mortals for one in toy.told()["asked"]]
    assert Counter(answers)[256] == 20
    assert capsys.readouterr().out.count("[") == 20


def test_samples_go_by_the_addresses_in_any_order(mortals):
    with Servers() as servers:
        forth = servers.settled(Recipe(model=address(mortals)))
        back = servers.settled(Recipe(model=address(mortals[::-1])))

    assert forth == back
    assert forth.model == spelled(endpoints_of(address(mortals)), "toy")
    assert Recipe.parse(f"{forth.spelling}@majority-vote(n=3)").model == forth.model


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://a/v1,http://b/v1#big", ["http://a/v1", "http://b/v1"]),
        ("http://b,http://a#m", ["http://a/v1", "http://b/v1"]),
        ("http://a#m, http://a/v1#m", ["http://a/v1"]),
        ("http://a/v1#one,two", ["http://a/v1"]),
    ],
)
def test_addresses_are_parsed(text, found):
    endpoints = endpoints_of(text)
    assert [one.base for one in endpoints] == found
    assert len({one.model for one in endpoints}) == 1


@pytest.mark.parametrize(
    "text", ["http://a#x,http://b#y", "http://a/v1,http://", "http://a,ftp://b"]
)
def test_addresses_that_do_not_go_together_are_refused(text):
    with pytest.raises(BadParameterError):
        endpoints_of(text)

"""What other libraries were seen to break, on a server: counts, draws, settings, threads."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from forethought import catalogue
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.contracts.errors import RemoteError
from forethought.driver.driver import Driver
from forethought.methods.scoring.likelihood import Likelihood
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import job, searched

SEARCHES = [
    "majority-vote(n=5)",
    "best-of-n(n=5)",
    'beam(n=4, delimiter="\\n")',
    'dvts(trees=2, width=2, temperature=none, delimiter="\\n")',
    'particle-filter(n=4, temperature=none, delimiter="\\n")',
]


@pytest.mark.parametrize("spelled", SEARCHES)
def test_every_token_that_the_server_wrote_is_counted_once(toy, remote, spelled):
    done = searched(catalogue.build(spelled, "strategies"), backend=remote, scorer=Likelihood())
    told = toy.told()

    assert done.cost.output_tokens == told["written"] > 0
    assert done.cost.prompt_tokens > 0
    assert len(told["asked"]) == done.written


@pytest.mark.parametrize("spelled", SEARCHES)
def test_no_request_asks_for_several_answers_or_forgets_how_they_are_drawn(toy, remote, spelled):
    searched(catalogue.build(spelled, "strategies"), backend=remote, scorer=Likelihood())
    asked = toy.told()["asked"]

    assert not any("n" in body for body in asked)
    assert {body["temperature"] for body in asked} == {1.0}
    # Answers that go on from the same text are drawn with other numbers.
    draws = Counter((str(body["messages"]), body["seed"]) for body in asked)
    assert set(draws.values()) == {1}


@pytest.mark.parametrize("spelled", SEARCHES)
def test_a_beginning_is_sent_as_one_that_goes_on_and_nothing_else_is(toy, remote, spelled):
    searched(catalogue.build(spelled, "strategies"), backend=remote, scorer=Likelihood())

    going_on = {"continue_final_message": True, "add_generation_prompt": False}
    for body in toy.told()["asked"]:
        begun = body["messages"][-1]["role"] == "assistant"
        assert {name: body[name] for name in going_on if name in body} == (
            going_on if begun else {}
        )


def test_a_time_is_kept_outside_of_the_main_thread(toy, remote):
    toy.set(law="long", delay=0.02)
    found = []

    def search():
        found.append(searched(MajorityVote(n=2), backend=remote, budget="300ms", max_tokens=400))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join(20)
    (done,) = found
    assert done.budget_spent
    assert {one.finish for one in done.found.considered} == {"budget"}


def test_a_search_that_fails_ends_no_other(toy, remote):
    toy.set({"status": 400})
    jobs = [job(MajorityVote(n=1), run=name, seed=seed) for seed, name in enumerate("abc")]
    done = list(Driver(remote).run(jobs))

    assert sum(isinstance(one.error, RemoteError) for one in done) == 1
    assert sum(one.found is not None for one in done) == 2


def test_no_error_of_a_server_is_taken_for_an_answer(toy, remote):
    toy.set(*[{"error": 0}] * 30)
    (done,) = Driver(remote).run([job(MajorityVote(n=2))])

    assert done.found is None
    assert "out of memory" in done.error.message


def test_what_a_model_thinks_is_paid_for_and_no_part_of_its_answer():
    reply = StreamedReply()
    reply.add({"choices": [{"delta": {"reasoning_content": "hmm"}}]})
    reply.add({"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]})

    assert reply.text == "4"
    assert reply.output_tokens(100) == len("hmm4") + 1
    reply.add({"choices": [], "usage": {"completion_tokens": 9, "prompt_tokens": 3}})
    assert reply.output_tokens(100) == 9

"""Requests that start from the cached prefixes of earlier ones: same answers, less computed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.driver.driver import Driver
from tests.backends.local.prefix_server import QUESTIONS, Server, cold, told
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import (
    DOCUMENT,
    QUESTION,
    below_full_budget,
    drafted,
)
from tests.tiny_model import tiny_model

SYSTEM = "You guard the lockers of this school."


@pytest.mark.parametrize(("name", "draft"), fast_each(3, [(None, "self"), *drafted()]))
def test_a_warm_cache_changes_no_token_of_any_method(name, draft):
    methods = () if name is None else (below_full_budget(name),)
    server = Server(draft=draft)
    for question in QUESTIONS:
        assert told(server.ask(question, methods)) == told(cold(question, methods, draft=draft))


def test_the_second_question_on_a_document_computes_only_itself():
    server = Server()
    first, second = (server.ask(question) for question in QUESTIONS[:2])
    whole = cold(QUESTIONS[1])

    assert first.cost.cached_tokens == 0
    assert second.cost.cached_tokens > len(DOCUMENT) - 20
    assert second.cost.prompt_tokens + second.cost.cached_tokens == whole.cost.prompt_tokens
    assert second.cost.flops < whole.cost.flops / 2
    assert server.prefixes.counters.hit == second.cost.cached_tokens


@pytest.mark.parametrize(
    "name",
    [
        "snapkv(keep=120)",
        "pyramidkv(keep=120)",
        "kvzip(keep=120)",
        "laq(keep=120)",
        "speckv(keep=120)",
        "streaming-llm(keep=120)",
        "quantised-kv(bits=4)",
        "snapkv(keep=120, every=4)",
    ],
)
def test_methods_that_need_only_the_newest_queries_start_from_a_cached_prefix(name):
    server = Server()
    server.ask(QUESTIONS[0], (name,))
    second = server.ask(QUESTIONS[1], (name,))

    assert second.cost.cached_tokens > len(DOCUMENT) - 60
    assert told(second) == told(cold(QUESTIONS[1], (name,)))


@pytest.mark.parametrize("name", ["h2o(keep=120)", "expected-attention(keep=120)"])
def test_methods_that_need_all_queries_leave_exact_entries_and_use_none(name):
    server = Server()
    server.ask(QUESTIONS[0], (name,))

    assert server.ask(QUESTIONS[1], (name,)).cost.cached_tokens == 0
    assert server.ask(QUESTIONS[2]).cost.cached_tokens > len(DOCUMENT) - 20


def test_ten_questions_on_one_document_let_the_draft_read_it_once():
    server = Server()
    questions = [f"What is the code of locker {n}?" for n in range(10)]
    first, *rest = (
        server.ask(question, ("specpc-shallow(keep=260, window=16)",)) for question in questions
    )
    alone = [cold(q, ("specpc-shallow(keep=260, window=16)",)) for q in questions]

    assert first.cost.draft_tokens == alone[0].cost.draft_tokens > len(DOCUMENT)
    asked = len(questions[0]) + len("\n\n</s><s>assistant: ")
    assert all(0 < done.cost.draft_tokens <= asked for done in rest)
    assert [told(one) for one in (first, *rest)] == [told(one) for one in alone]


def test_an_equal_prompt_needs_no_draft():
    server = Server()
    methods = ("specpc-shallow(keep=260)",)
    first, second = (server.ask(QUESTION, methods) for _ in range(2))
    other = server.ask(QUESTION, ("specpc-shallow(keep=260, window=32)",))

    assert told(first) == told(second)
    assert first.cost.draft_tokens > 0
    assert second.cost.draft_tokens == 0
    assert second.cost.prompt_tokens == 2
    assert 0 < other.cost.draft_tokens <= 32


def test_a_draft_that_decodes_shares_its_prefixes_too():
    server = Server()
    methods = ("speckv(keep=120, lookahead=4)",)
    first, second = (server.ask(question, methods) for question in QUESTIONS[:2])

    assert second.cost.draft_tokens < first.cost.draft_tokens / 3
    assert told(second) == told(cold(QUESTIONS[1], methods))


def test_the_tenants_of_a_server_share_nothing():
    server = Server()
    methods = ("specpc-shallow(keep=260)",)
    first = server.ask(QUESTION, methods, tenant="one")
    other = server.ask(QUESTION, methods, tenant="two")
    again = server.ask(QUESTION, methods, tenant="one")

    assert other.cost == replace(first.cost, seconds=other.cost.seconds)
    assert again.cost.draft_tokens == 0
    assert again.cost.cached_tokens > other.cost.cached_tokens == 0


def test_a_hit_keeps_the_system_prompt():
    server = Server()
    for system in (SYSTEM, "Answer in Latin.", SYSTEM, None):
        for question in QUESTIONS[:2]:
            warm = server.ask(question, system=system)
            assert told(warm) == told(cold(question, system=system))
    assert server.prefixes.counters.hit > 3 * len(DOCUMENT)


def test_a_compressed_prompt_keeps_its_system_text_in_front():
    server, system = Server(), SYSTEM * 3
    methods = ("specpc-shallow(keep=300, window=8)",)
    questions = ["Locker 1?", "And locker 7?"]
    server.ask(questions[0], methods, system=system)
    second = server.ask(questions[1], methods, system=system)

    assert second.cost.cached_tokens >= len(system)
    assert told(second) == told(cold(questions[1], methods, system=system))


@pytest.mark.parametrize("methods", [(), ("snapkv(keep=120)",), ("specpc-shallow(keep=260)",)])
def test_searches_and_samples_start_from_cached_prefixes(methods):
    server = Server()
    server.ask(QUESTIONS[0], methods)
    for settings in (
        {"search": "beam(n=4, width=2)", "scorer": "likelihood"},
        {"search": "majority-vote(n=3)", "temperature": 1.0},
        {"samples": 3, "temperature": 1.0},
    ):
        warm = server.ask(QUESTIONS[1], methods, **settings)
        alone = cold(QUESTIONS[1], methods, **settings)
        assert told(warm) == told(alone)
        assert warm.cost.flops < alone.cost.flops


def test_a_small_budget_evicts_and_answers_stay():
    one = Server()
    one.ask(QUESTION)
    server = Server(size=one.prefixes.bytes * 3 // 2)
    for number in range(6):
        document = f"Document {number}. {DOCUMENT}"
        warm = server.ask(QUESTION, document=document)
        assert told(warm) == told(cold(QUESTION, document=document))
        again = server.ask(QUESTIONS[2], document=document)
        assert again.cost.cached_tokens > len(DOCUMENT) - 20

    assert server.prefixes.counters.evicted > 4 * len(DOCUMENT)


def test_memory_that_sequences_need_is_taken_from_the_prefix_cache():
    server = Server()
    server.ask(QUESTION)
    held, admission = server.prefixes.bytes, server.backend.scheduler.admission
    admission.cache_bytes = held + held // 2
    server.ask(QUESTION, document=DOCUMENT[::-1])

    assert server.prefixes.bytes <= admission.cache_bytes
    assert server.prefixes.counters.evicted > 0


def test_runs_with_log_probabilities_of_the_prompt_compute_all_of_it():
    server = Server()
    server.ask(QUESTION)
    job = server.job(QUESTION)
    server.backend.runs[job.run].prompt_logprobs = 0
    (done,) = Driver(server.backend).run([job])

    assert done.cost.cached_tokens == 0


def test_two_networks_share_nothing_even_under_one_name():
    server = Server()
    server.ask(QUESTION)
    server.target = tiny_model("target", seed=5)

    again = server.ask(QUESTION)
    assert again.cost.cached_tokens == 0
    assert told(again) == told(cold(QUESTION, target=server.target))

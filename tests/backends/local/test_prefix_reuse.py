"""Requests that start from the cached prefixes of earlier ones: same answers, less computed."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import torch

from forethought.backends.local.local import LocalBackend
from forethought.backends.local.local_run import LocalRun
from forethought.contracts.questions import Question
from forethought.driver.driver import Driver
from forethought.engine.batch import CHUNK
from forethought.engine.cache.prefix_cache import LEAST_TOKENS, PrefixCache
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt, next_turn
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse
from forethought.prefill.prepare import Preparation
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from forethought.sessions.question_run import job_of
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
    below_full_budget,
    runnable,
)
from tests.tiny import tiny_decoder, tiny_tensors
from tests.tiny_model import tiny_model

AMPLE = 1 << 30
QUESTIONS = [QUESTION, "Which locker has the code 37?", "And locker 7?"]
SYSTEM = "You guard the lockers of this school."


class Server:
    """A back end with a prefix cache, and plain answers of it."""

    def __init__(self, target=TARGET, draft="same-tokens", prefixes=True, size=AMPLE):
        self.draft = draft if not isinstance(draft, str) else DRAFTS[draft]
        self.target = target
        self.prefixes = PrefixCache(size) if prefixes else None
        recipe = Recipe(model="target")
        self.backend = LocalBackend(
            recipe, target, self.draft, itertools.count().__next__, prefix_cache=self.prefixes
        )
        self.count = 0

    def job(
        self,
        question,
        methods=(),
        *,
        tenant="",
        system=None,
        prompt=None,
        document=DOCUMENT,
        **settings,
    ):
        self.count += 1
        name = f"request {self.count}"
        settings = {"max_tokens": 12, **settings}
        recipe = Recipe(model="target", approximate=methods, **settings)
        local = LocalRun(
            recipe,
            self.target,
            self.draft,
            itertools.count().__next__,
            system,
            prompt=prompt,
            plain=not recipe.search,
            tenant=tenant,
        )
        self.backend.runs[name] = local
        asked = Question(name, question, document)
        return job_of(recipe, name, asked, plain=local.plain)

    def ask(self, question, methods=(), **settings):
        (done,) = Driver(self.backend).run([self.job(question, methods, **settings)])
        if done.error is not None:
            raise done.error
        if self.prefixes is not None:
            self.prefixes.check()
            assert self.prefixes.locked_bytes == 0
        return done


def told(done):
    found = done.found
    return [(one.text, one.token_ids) for one in found.considered]


def cold(question, methods=(), target=TARGET, draft="same-tokens", **settings):
    return Server(target, draft, prefixes=False).ask(question, methods, **settings)


@pytest.mark.parametrize("name", [None, *runnable()])
@pytest.mark.parametrize("draft", ["same-tokens", "other-tokens", "self"])
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
        server.ask(question, ("specpc(keep=260, window=16)",)) for question in questions
    )
    alone = [cold(q, ("specpc(keep=260, window=16)",)) for q in questions]

    assert first.cost.draft_tokens == alone[0].cost.draft_tokens > len(DOCUMENT)
    asked = len(questions[0]) + len("\n\n</s><s>assistant: ")
    assert all(0 < done.cost.draft_tokens <= asked for done in rest)
    assert [told(one) for one in (first, *rest)] == [told(one) for one in alone]


def test_an_equal_prompt_needs_no_draft():
    server = Server()
    methods = ("specpc(keep=260)",)
    first, second = (server.ask(QUESTION, methods) for _ in range(2))
    other = server.ask(QUESTION, ("specpc(keep=260, window=32)",))

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
    methods = ("specpc(keep=260)",)
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
    methods = ("specpc(keep=300, window=8)",)
    questions = ["Locker 1?", "And locker 7?"]
    server.ask(questions[0], methods, system=system)
    second = server.ask(questions[1], methods, system=system)

    assert second.cost.cached_tokens >= len(system)
    assert told(second) == told(cold(questions[1], methods, system=system))


@pytest.mark.parametrize("methods", [(), ("snapkv(keep=120)",), ("specpc(keep=260)",)])
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


def test_the_next_turn_of_a_conversation_continues_the_answer():
    server, model = Server(), TARGET
    first = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT)
    answer = server.ask(QUESTION, prompt=first).found.best
    turn = next_turn(model.tokenizer, model.template, "And locker 7?")
    said = first.tokens + answer.token_ids
    second = replace(
        first,
        tokens=said + turn.tokens,
        spans=first.spans + ((len(first.text),) * 2,) * (len(answer.token_ids) + len(turn.tokens)),
    )

    warm = server.ask("And locker 7?", prompt=second)

    written = len(first) + len(answer.token_ids) - 1  # the newest token has no entry
    assert written < 2 * len(said)
    assert warm.cost.cached_tokens in (len(first), written)
    assert told(warm) == told(cold("And locker 7?", prompt=second))


def test_the_answer_of_a_first_turn_is_cached_if_it_is_long_enough():
    server, model = Server(), TARGET
    first = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT)
    answer = server.ask(QUESTION, prompt=first, max_tokens=90).found.best
    longer = replace(
        first,
        tokens=first.tokens + answer.token_ids + first.tokens[-9:],
        spans=first.spans + ((0, 0),) * (len(answer.token_ids) + 9),
    )

    warm = server.ask("", prompt=longer)

    assert len(answer.token_ids) > 70
    assert warm.cost.cached_tokens >= len(first) + len(answer.token_ids) - 1
    assert told(warm) == told(cold("", prompt=longer))


def test_sequences_at_the_same_time_share_a_document():
    server = Server()
    questions = [f"What is the code of locker {n}?" for n in range(6)]
    jobs = [server.job(question) for question in questions]
    done = {one.job.run: one for one in Driver(server.backend).run(jobs)}

    for job, question in zip(jobs, questions, strict=True):
        assert told(done[job.run]) == told(cold(question))
    computed = sum(done[job.run].cost.prompt_tokens for job in jobs)
    assert computed < 2 * done[jobs[0].run].cost.prompt_tokens
    server.prefixes.check()
    assert server.prefixes.locked_bytes == 0


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


def single(dtype):
    model = tiny_model("target", seed=1, max_position_embeddings=8192)
    settings = {"vocab_size": model.tokenizer.vocabulary_size, "max_position_embeddings": 8192}
    return replace(model, network=tiny_decoder(seed=1, dtype=dtype, **settings))


def prefilled(model, prompt, reuse):
    prepared = Preparation((), model, model, 16, reuse=reuse).prepare(prompt, Meter(lambda: 0.0))
    with torch.inference_mode():
        prepared.shorten()
        prepared.run_prefill()
    return prepared


def test_a_prefill_that_resumes_at_a_chunk_is_equal_to_the_bit():
    model = single(torch.float32)
    text = DOCUMENT * (2 * CHUNK // len(DOCUMENT) + 2)
    prompt = chat_prompt(model.tokenizer, model.template, QUESTION, text)
    expected = prefilled(model, prompt, None)
    reuse = PrefillReuse(PrefixCache(AMPLE), PrefillMemo())
    head = reuse.prefix(model.network, prompt.tokens)
    head.store(part_of(expected.result.cache, CHUNK))
    head.close()

    found = prefilled(model, prompt, reuse)

    assert found.spent().cached_tokens == CHUNK
    assert torch.equal(found.result.logits, expected.result.logits)
    assert equal_entries(found.result.cache, expected.result.cache)


def part_of(cache, count):
    part = SequenceCache(len(cache.tail.layers))
    for layer, entries in enumerate(cache.tail.layers):
        keys, values = (held[:, :count].transpose(0, 1) for held in (entries.keys, entries.values))
        part.append(layer, keys, values)
    part.advance(count)
    return part


def equal_entries(first, second):
    def layer(cache, at):
        parts = list(cache.kv_slices(at))
        return torch.cat([part.keys for part in parts], 1), torch.cat(
            [part.values for part in parts], 1
        )

    return all(
        torch.equal(a, b)
        for at in range(len(first.tail.layers))
        for a, b in zip(layer(first, at), layer(second, at), strict=True)
    )


@pytest.mark.parametrize("length", [64, 200, 511, 700, 1111])
def test_a_hit_of_any_length_gives_the_logits_of_a_cold_run_in_float32(length):
    model = single(torch.float32)
    prompt = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT * 4)
    expected = prefilled(model, prompt, None).result
    reuse = PrefillReuse(PrefixCache(AMPLE), PrefillMemo())
    head = reuse.prefix(model.network, prompt.tokens)
    head.store(part_of(expected.cache, length))
    head.close()

    found = prefilled(model, prompt, reuse)

    assert found.spent().cached_tokens == length
    torch.testing.assert_close(found.result.logits, expected.logits, rtol=1e-5, atol=1e-4)
    assert int(found.result.logits.argmax()) == int(expected.logits.argmax())


@pytest.mark.parametrize("methods", [(), ("specpc(keep=260)",), ("snapkv(keep=120)",)])
def test_answers_after_a_hit_are_the_same_tokens_in_float32(methods):
    model = single(torch.float32)
    server = Server(model, model)
    for question in QUESTIONS:
        warm = server.ask(question, methods)
        assert told(warm) == told(cold(question, methods, model, model))


def live(model):
    opener = LocalOpener(
        lambda name, weights: model, Recipe(model="target"), itertools.count().__next__
    )
    opener.backend.prefix_cache = PrefixCache(AMPLE)
    return LiveSession(opener, itertools.count().__next__), opener.backend


def finished(session, request):
    session.submit(request)
    events = []
    while not session.idle:
        events += [event for name, event in session.step() if name == request.name]
    return events[-1].data["run"]


def test_a_cancelled_prefill_is_resumed_where_it_was():
    session, backend = live(single(torch.float64))
    text = DOCUMENT * (3 * CHUNK // len(DOCUMENT))
    recipe = Recipe(model="target", max_tokens=12)
    first = LiveRequest("first", recipe, QUESTION, text)
    session.submit(first)
    meter = None
    while meter is None or meter.flops == 0:  # the first chunk is complete
        session.step(0.0)
        meter = next(iter(backend.runs["first"].prompts.values())).meter
    session.cancel("first")

    assert backend.prefix_cache.locked_bytes == 0
    resumed = finished(session, LiveRequest("second", recipe, QUESTION, text))

    assert resumed["cost"]["cached_tokens"] in (CHUNK, 2 * CHUNK)
    fresh, _ = live(single(torch.float64))
    assert resumed["answer"] == finished(fresh, first)["answer"]


def test_a_cancelled_answer_unlocks_its_prefix_and_leaves_its_prompt():
    session, backend = live(TARGET)
    recipe = Recipe(model="target", max_tokens=400)
    session.submit(LiveRequest("first", recipe, QUESTION, DOCUMENT))
    tokens = 0
    while tokens < 100:
        tokens += sum(event.kind == "token" for _, event in session.step())
    assert backend.prefix_cache.locked_bytes > 0
    session.cancel("first")

    backend.prefix_cache.check()
    assert backend.prefix_cache.locked_bytes == 0
    second = finished(session, LiveRequest("second", recipe, QUESTION, DOCUMENT))
    assert second["cost"]["prompt_tokens"] == 2


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


def continued(prompt, answer, text):
    """The prompt of the turn after an answer."""
    turn = next_turn(TARGET.tokenizer, TARGET.template, text)
    new = [*answer.token_ids, *turn.tokens]
    end = len(prompt.text)
    return replace(
        prompt,
        tokens=(*prompt.tokens, *new),
        spans=(*prompt.spans, *((end + i, end + i + 1) for i in range(len(new)))),
        text=prompt.text + "x" * len(new),
        protected=prompt.protected | set(range(len(prompt), len(prompt) + len(new))),
    )


@pytest.mark.parametrize("method", ["specpc(keep=260)", "spec-prefill(keep=110)"])
def test_a_document_keeps_its_choice_in_later_turns(method):
    server = Server()
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    done = server.ask(QUESTION, (method,), prompt=prompt)
    assert done.opened.kept.prompt_tokens < len(prompt) / 1.5
    for text in ("And locker 7?", "Are you sure?", "Which one is next to it?"):
        before, length = done.opened.kept, len(prompt)
        prompt = continued(prompt, done.found.best, text)
        done = server.ask(text, (method,), prompt=prompt)

        assert done.opened.kept.positions == (*before.positions, *range(length, len(prompt)))
        assert done.cost.draft_tokens == 0
        assert done.cost.cached_tokens > before.prompt_tokens - LEAST_TOKENS


def test_a_turn_longer_than_the_budget_is_shortened_with_the_document():
    server = Server()
    methods = ("specpc(keep=260)",)
    first = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    done = server.ask(QUESTION, methods, prompt=first)
    longer = continued(first, done.found.best, DOCUMENT)
    longer = replace(longer, protected=first.protected)

    warm = server.ask("", methods, prompt=longer)

    assert warm.opened.kept.prompt_tokens == 260
    assert told(warm) == told(cold("", methods, prompt=longer))


@pytest.mark.parametrize(
    ("methods", "tenant"),
    [(("specpc(keep=280)",), ""), (("specpc(keep=260)",), "another")],
)
def test_a_choice_belongs_to_its_method_and_its_tenant(methods, tenant):
    server = Server()
    first = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    done = server.ask(QUESTION, ("specpc(keep=260)",), prompt=first)
    second = continued(first, done.found.best, "And locker 7?")

    warm = server.ask("", methods, prompt=second, tenant=tenant)

    assert warm.cost.draft_tokens > 0
    assert told(warm) == told(cold("", methods, prompt=second))


def decoding_by(weights):
    config, tensors = tiny_tensors(
        seed=1, vocab_size=TARGET.tokenizer.vocabulary_size, max_position_embeddings=2048
    )
    tensors = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    return Decoder(config, tensors, build_linears(tensors, {}, weights))


def test_answers_of_quantised_decode_passes_are_not_taken_for_a_prefill():
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    found = {}
    for weights in ("bf16", "int8"):
        server = Server(replace(TARGET, network=decoding_by(weights)))
        answer = server.ask(QUESTION, prompt=prompt, max_tokens=90).found.best
        second = continued(prompt, answer, "And locker 7?")
        assert len(answer.token_ids) > 70
        found[weights] = server.ask("", prompt=second).cost.cached_tokens - len(prompt)

    assert found == {"bf16": len(answer.token_ids) - 1, "int8": 0}


MIXED = [
    {},
    {"temperature": 1.2, "samples": 2, "seed": 3},
    {"approximate": ("specpc(keep=260)",)},
    {"approximate": ("specpc(keep=260)",), "draft": "same-tokens"},
    {"approximate": ("snapkv(keep=120)",)},
    {"approximate": ("h2o(keep=200, every=3)",)},
    {"approximate": ("quantised-kv(bits=4)",)},
    {"search": "beam(n=4, width=2)", "scorer": "likelihood"},
    {"model": "other-tokens"},
]
MODELS = {"target": TARGET, **DRAFTS}


def mixed_session(size):
    clock = itertools.count().__next__
    opener = LocalOpener(lambda name, weights: MODELS[name], Recipe(model="target"), clock)
    opener.backend.prefix_cache = PrefixCache(size)
    return LiveSession(opener, clock), opener.backend.prefix_cache


@pytest.mark.parametrize(("seed", "size"), [(0, AMPLE), (1, 700_000), (2, 400_000)])
def test_mixed_requests_that_come_and_go_are_answered_as_alone(seed, size):
    chance = random.Random(seed)
    session, prefixes = mixed_session(size)
    answers, requests = {}, {}
    for number in range(40):
        recipe = Recipe(**{"model": "target", "max_tokens": 12, **chance.choice(MIXED)})
        document = chance.choice([DOCUMENT, DOCUMENT[::-1]])
        text, tenant = chance.choice(QUESTIONS), chance.choice(["", "other"])
        name = f"request {number}"
        requests[name] = LiveRequest(name, recipe, text, document, tenant=tenant)
        session.submit(requests[name])
        for _ in range(chance.randrange(30)):
            answers |= ended(session.step(0.0))
            prefixes.check()
        waiting = [one for one in requests if one not in answers]
        if waiting and chance.random() < 0.3:
            dropped = chance.choice(waiting)
            session.cancel(dropped)
            del requests[dropped]
    while not session.idle:
        answers |= ended(session.step())

    assert prefixes.counters.hit > 300
    assert prefixes.locked_bytes == 0
    assert set(answers) == set(requests)
    for name, run in answers.items():
        assert run["answer"] == alone(requests[name])


def ended(events):
    return {name: event.data["run"] for name, event in events if event.kind == "done"}


def alone(request):
    """The answer without company and without a prefix cache."""
    clock = itertools.count().__next__
    opener = LocalOpener(lambda name, weights: MODELS[name], Recipe(model="target"), clock)
    return finished(LiveSession(opener, clock), request)["answer"]

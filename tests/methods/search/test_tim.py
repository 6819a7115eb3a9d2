"""Trees of subtasks: against fresh prefills of the kept text, token by token, on a tiny model."""

from __future__ import annotations

import functools
import itertools
import json
import random
import re
from dataclasses import dataclass, field, replace

import pytest
import torch

from forethought.backends.local.local import LocalBackend
from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate, Found, Strategy, write
from forethought.driver.job import PlainAnswer
from forethought.driver.requests import stream_of
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens
from forethought.engine.sampling import SamplingParams, choose
from forethought.methods.search._task_tree import TaskTree, dropped_spans, tree_schema
from forethought.methods.search.tim import _PROMPT, Tim
from forethought.models.chat.prompt import chat_prompt
from forethought.models.tokenization.grammar import grammar_constraint
from forethought.recipes.recipe import Recipe
from tests.backends.local.test_local import searched
from tests.driver.searches import QUESTION, Kept
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import TARGET
from tests.tiny_model import tiny_model

SHORT = 3
PAGE = _PROMPT.format(asked=QUESTION.text)
KEEPS_ALL = 1 << 20


def back_end(temperature=1.0, model=TARGET, **settings):
    recipe = Recipe(model="target", temperature=temperature, max_tokens=900, **settings)
    return LocalBackend(recipe, model, model, itertools.count().__next__)


def ran(buffer=0, seed=0, backend=None, journal=None, longest=SHORT, strategy=None, **settings):
    given = {"question": QUESTION, "max_tokens": 900, "seed": seed, **settings}
    strategy = strategy or Tim(buffer, longest)
    return searched(strategy, backend or back_end(seed=seed), journal, **given)


@dataclass
class Whole:
    """A whole run at temperature 1: its journal, its cache at the end, and what was metered."""

    buffer: int
    journal: Kept = field(default_factory=Kept)
    caches: list = field(default_factory=list)
    flops: float = 0.0
    done: object = None

    def __post_init__(self):
        backend, kept = back_end(seed=3), self

        @dataclass(frozen=True)
        class Watched(Tim):
            def search(self, start, rng):
                found = yield from super().search(start, rng)
                run = backend.run("run")
                kept.caches = [one.cache for one in run.caches._held.values()]
                kept.flops = run.meter("target").flops
                return found

        self.done = ran(self.buffer, 3, backend, self.journal, strategy=Watched(self.buffer, SHORT))

    @property
    def best(self):
        return self.done.found.best


whole_run = functools.cache(Whole)


@functools.cache
def greedy_best(strategy):
    return ran(0, 0, back_end(0), strategy=strategy).found.best


def finished_lists(text):
    """The lists of subtasks that end in a text, by decoding JSON at each bracket."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*("|$)', lambda found: "_" * len(found[0]), text, flags=re.S)
    found = []
    for bracket in [place for place, sign in enumerate(bare) if sign == "["][1:]:
        try:
            _, end = json.JSONDecoder(strict=False).raw_decode(text, bracket)
        except ValueError:
            continue
        found.append((bracket + 1, end - 1))
    return sorted(found, key=lambda span: span[1])


@functools.cache
def ends_of(tokens):
    """The length of the text of each prefix."""
    return [len(TARGET.tokenizer.decode(tokens[:place])) for place in range(len(tokens) + 1)]


def kept_of(tokens, buffer, seen=None):
    """The places of the tokens outside of all finished lists but the newest.

    A list counts as finished if it is so among the first `seen` tokens.
    """
    spans = finished_lists(TARGET.tokenizer.decode(tokens[:seen]))
    gone, ends = spans[: max(0, len(spans) - buffer)], ends_of(tokens)
    return [
        place
        for place in range(len(tokens))
        if not any(a <= ends[place] and ends[place + 1] <= b for a, b in gone)
    ]


@functools.cache
def fresh_logits(tokens):
    """Logits [1 + N, V] of a prefill of the prompt and these tokens: before and behind each."""
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, PAGE, "", None).tokens
    cache = SequenceCache(len(TARGET.shape.layers))
    batch = Batch(TARGET.network, Meter(lambda: 0.0))
    rows = batch.forward([NewTokens(cache, [*prompt, *tokens])], phase="prefill", every=True)
    return rows[len(prompt) - 1 :]


def logits_at(tokens, place, buffer):
    """The logits from which the token at a place follows, by the rule."""
    kept = kept_of(tokens, buffer, place)
    return fresh_logits(tuple(tokens[one] for one in kept))[sum(one < place for one in kept)]


@pytest.mark.parametrize(
    ("buffer", "temperature", "seed"),
    [pytest.param(0, 0, 0, marks=pytest.mark.slow), (0, 1, 3), (1, 1, 3)],
)
def test_every_token_follows_from_a_fresh_prefill_of_the_kept_text(buffer, temperature, seed):
    best = greedy_best(Tim(buffer, SHORT)) if temperature == 0 else whole_run(buffer).best
    constraint = grammar_constraint(TARGET.tokenizer, tree_schema(SHORT), "json")
    sampling = SamplingParams(temperature=temperature, seed=seed)
    stream = stream_of(Candidate(question=PAGE), 0)

    for place, token in enumerate(best.token_ids):
        logits = logits_at(best.token_ids, place, buffer)
        allowed = constraint.allowed(len(logits))
        chosen = choose(logits.masked_fill(~allowed, -torch.inf), sampling, stream, place)
        assert chosen.token == token
        constraint.accept(token)

    assert len(kept_of(best.token_ids, buffer)) < len(best.token_ids)
    assert constraint.complete


@dataclass(frozen=True)
class Unpruned(Strategy):
    """The same constrained text at once."""

    def search(self, start, rng):
        one = replace(start, question=PAGE, schema=tree_schema(SHORT))
        (found,) = yield from write([one])
        return Found(found)


@pytest.mark.parametrize(("temperature", "seed"), fast_each(2, [(0, 0), (1, 0), (1, 3)]))
def test_a_buffer_for_all_lists_gives_the_plain_constrained_decode(temperature, seed):
    at_once = ran(0, seed, back_end(temperature), strategy=Unpruned())
    whole = (temperature, seed) == (1, 3)
    done = whole_run(KEEPS_ALL).done if whole else ran(KEEPS_ALL, seed, back_end(temperature))

    assert done.found.best.token_ids == at_once.found.best.token_ids
    assert done.found.best.log_probability == pytest.approx(
        at_once.found.best.log_probability, rel=1e-12
    )
    assert done.cost.prompt_tokens == at_once.cost.prompt_tokens
    assert done.cost.flops == pytest.approx(at_once.cost.flops, rel=1e-12)
    assert done.found.best.text == json.loads(at_once.found.best.text)["answer"]


def test_the_plain_constrained_decode_is_that_of_a_request_with_the_schema():
    backend = back_end(0)
    backend.run("run").controls = GenerationControls(grammar=tree_schema(SHORT))
    plain = ran(backend=backend, strategy=PlainAnswer(), question=Question("q", PAGE))

    assert greedy_best(Unpruned()).text == plain.found.best.text
    assert greedy_best(Tim(0, SHORT)).token_ids != plain.found.best.token_ids


@pytest.mark.parametrize("buffer", [0, 1, KEEPS_ALL])
def test_the_cache_holds_the_kept_tokens_without_gaps(buffer):
    run = whole_run(buffer)
    best, cache = run.best, run.caches[0]
    prompt = len(chat_prompt(TARGET.tokenizer, TARGET.template, PAGE, "", None))

    assert all(one is cache for one in run.caches), "dropped entries leave the memory"
    # The last piece drops nothing, and its last token needs no entry.
    kept = len(kept_of(best.token_ids[:-1], buffer))
    lengths = {layer.length for layer in cache.tail.layers}
    assert lengths == {len(cache.tail.positions)}
    assert cache.tail.positions == list(range(cache.next))
    assert cache.next == prompt + kept
    assert (kept < len(best.token_ids) - 1) == (buffer < KEEPS_ALL)


@pytest.mark.parametrize("buffer", [0, 1, KEEPS_ALL])
def test_the_charge_is_what_the_passes_metered(buffer):
    cost = whole_run(buffer).done.cost

    assert cost.flops == pytest.approx(whole_run(buffer).flops, rel=1e-12)
    prompt = len(chat_prompt(TARGET.tokenizer, TARGET.template, PAGE, "", None))
    # Without a buffer, nothing but the bracket lies behind a finished list.
    assert (cost.prompt_tokens > prompt) == (buffer == 1)


@pytest.mark.parametrize("method", ["prompt-lookup", "trie-lookahead"])
def test_drafted_tokens_change_no_tree(method):
    plain = whole_run(1).best
    drafted = ran(1, 3, back_end(seed=3, approximate=(method,)))

    assert drafted.found.best.token_ids == plain.token_ids
    assert drafted.cost.accepted_tokens > 0


@pytest.mark.parametrize("known", fast_each(2, [1, 2, 3]))
def test_a_tree_replayed_in_part_goes_on_as_before(known):
    first, journal = whole_run(0).best, whole_run(0).journal
    later = Kept(dict(itertools.islice(journal.outcomes.items(), known)))

    assert len(journal.outcomes) == 4
    assert ran(0, 3, journal=later).found.best.token_ids == first.token_ids
    assert len(later.outcomes) == 4


@dataclass(frozen=True)
class Both(Strategy):
    """One text with and without a dropped part: side by side, or one after the other."""

    order: str

    def search(self, start, rng):
        one = replace(start, question=PAGE, schema=tree_schema(SHORT))
        while not (spans := finished_lists(one.text)):
            (one,) = yield from write([one], until="step", delimiter="]")
        pair = [one, replace(one, dropped=tuple(spans))]
        if self.order == "together":
            ends = yield from write(pair, max_tokens=9)
        else:
            ends = []
            for parent in pair if self.order == "whole first" else reversed(pair):
                ends += yield from write([parent], max_tokens=9)
        return Found(ends[0], tuple(ends))


@pytest.mark.parametrize("order", ["together", "whole first", "part first"])
def test_a_text_and_the_same_without_a_part_both_go_on(order):
    ends = ran(0, 3, strategy=Both(order), backend=back_end(0)).found.considered
    assert [bool(one.dropped) for one in ends] == [order == "part first", order != "part first"]

    for one in ends:
        text = list(one.token_ids)
        constraint = grammar_constraint(TARGET.tokenizer, tree_schema(SHORT), "json")
        for token in text[:-9]:
            constraint.accept(token)
        buffer = 0 if one.dropped else KEEPS_ALL
        kept = tuple(text[at] for at in kept_of(tuple(text), buffer, len(text) - 9))
        for place, logits in zip(range(-9, 0), fresh_logits(kept)[-10:-1], strict=True):
            allowed = constraint.allowed(len(logits))
            assert int(logits.masked_fill(~allowed, -torch.inf).argmax()) == text[place]
            constraint.accept(text[place])


@pytest.mark.parametrize("buffer", [0, KEEPS_ALL])
def test_a_tree_may_be_longer_than_the_context_if_lists_are_dropped(buffer):
    whole = whole_run(buffer).best
    prompt = len(chat_prompt(TARGET.tokenizer, TARGET.template, PAGE, "", None))
    context = prompt + whole.tokens - 9
    small = tiny_model("target", seed=1, max_position_embeddings=context)

    if buffer:
        assert ran(buffer, 3, back_end(model=small)).found.best.text == ""
    else:
        assert ran(buffer, 3, back_end(model=small)).found.best.token_ids == whole.token_ids


@pytest.mark.parametrize("tokens", [1, 40, 90])
def test_a_model_that_does_not_end_its_tree_has_an_empty_answer_with_its_cost(tokens):
    done = ran(max_tokens=tokens)

    assert done.error is None
    assert done.found.best.text == ""
    assert done.cost.output_tokens == tokens
    assert done.cost.flops > 0
    assert f"wrote {tokens} tokens, and its tree of subtasks has no answer" in done.found.notes[1]


def test_a_spent_budget_ends_the_tree_with_a_note():
    done = ran(budget="60tok")

    assert done.budget_spent
    assert done.cost.output_tokens <= 60
    assert "before the tree" in done.found.notes[0]
    assert done.found.best.text == ""


@pytest.mark.parametrize("share", fast_each(3, [0.3, 0.6, 0.9, 0.99]))
def test_a_budget_of_flops_covers_the_tokens_encoded_again(share):
    whole = whole_run(0).done.cost.flops
    done = ran(0, 3, budget=f"{int(share * whole)}FLOP")

    assert done.cost.flops <= share * whole
    assert done.budget_spent


def test_a_request_with_another_grammar_is_refused():
    backend = back_end()
    backend.run("run").controls = GenerationControls(grammar='["a"]', grammar_kind="choice")

    with pytest.raises(UsageError, match="another grammar"):
        ran(backend=backend)


def written(rng, depth=0):
    """A random tree as JSON, and the spans of its lists of subtasks in order of their ends."""
    text, spans = "", []

    def string():
        signs = ["[", "]", "{", "}", '\\"', "\\\\", "é", "語", "a", ",", "\\n", "\\u005d"]
        return '"' + "".join(rng.choices(signs, k=rng.randrange(6))) + '"'

    tasks = []
    for _ in range(rng.randrange(1, 4)):
        head = f'{{"thought": {string()}'
        if depth < 3 and rng.random() < 0.5:
            inner, found = written(rng, depth + 1)
            tasks.append((head + ', "subtasks": [', inner, found, f'], "conclusion": {string()}}}'))
        else:
            tasks.append((f'{head}, "conclusion": {string()}}}', None, [], ""))
    for number, (head, inner, found, tail) in enumerate(tasks):
        text += ", " * (number > 0) + head
        if inner is not None:
            start = len(text)
            spans += [(start + a, start + b) for a, b in found]
            spans.append((start, start + len(inner)))
            text += inner + tail
    return text, spans


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_read_in_pieces_has_the_lists_that_it_was_written_with(seed):
    rng = random.Random(seed)
    inner, spans = written(rng)
    head = '{"reasoning": ['
    text = head + inner + '], "answer": "[]"}'
    json.loads(text)
    tree, end = TaskTree(), 0
    while end < len(text):
        end += rng.randrange(1, 9)
        tree.grow(text[:end])

    expected = [(len(head) + a, len(head) + b) for a, b in spans]
    assert tree.finished == expected == finished_lists(text)
    assert tree.tasks == text.count('"thought": ')


def test_lists_leave_the_memory_oldest_first_and_outer_ones_take_inner_ones_along():
    lists = [(10, 20), (30, 40), (5, 50), (60, 70)]  # the third holds the first two

    assert dropped_spans(lists, 4) == ()
    assert dropped_spans(lists, 3) == ((10, 20),)
    assert dropped_spans(lists, 2) == ((10, 20), (30, 40))
    assert dropped_spans(lists, 1) == ((5, 50),)
    assert dropped_spans(lists, 0) == ((5, 50), (60, 70))
    assert dropped_spans(lists, 9) == ()

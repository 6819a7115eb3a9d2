"""Steps of one model that another adopts: prefilled, graded behind a forced reply, continued."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from forethought.contracts.search import Found, Strategy, adopt, follow_up, write
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.methods.search.spec_reason import DIGITS, SpecReason
from forethought.models.chat.prompt import chat_prompt, next_turn
from tests.backends.local.test_local import Kept, local, searched, texts
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET

OTHERS = ["same-tokens", "other-tokens"]
ASKED, REPLY = "Grade the step.", "The grade is: "
TURN = (
    *next_turn(TARGET.tokenizer, TARGET.template, ASKED, thinking=False).tokens,
    *TARGET.tokenizer.encode(REPLY),
)
PROMPT = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT).tokens


def logits_after(model, tokens):
    """The logits of a prompt and what follows it, read from the start."""
    prompt = chat_prompt(model.tokenizer, model.template, QUESTION, DOCUMENT).tokens
    row = SequenceCache(len(model.shape.layers))
    batch = Batch(model.network, Meter(lambda: 0.0))
    return batch.prefill(row, [*prompt, *tokens]).double()


def greedy(model, tokens, count):
    """The likeliest tokens after these, each from the start."""
    found = list(tokens)
    for _ in range(count):
        found.append(int(logits_after(model, found).argmax()))
    return tuple(found)


class Handing(Strategy):
    """The draft writes, the target adopts, is graded or not, writes on, and hands back."""

    needs = frozenset({"draft"})

    def __init__(self, graded=True, rule="token"):
        self.graded, self.rule, self.grades = graded, rule, []

    def search(self, start, rng):
        small = replace(start, writer="draft")
        (first,) = yield from write([small], max_tokens=4, temperature=0.0)
        large = yield from adopt(start, first)
        if self.graded:
            (chances,) = yield from follow_up([large], ASKED, DIGITS, reply=REPLY, rule=self.rule)
            self.grades.append(chances)
        (more,) = yield from write([large], max_tokens=4, temperature=0.0)
        back = yield from adopt(first, more)
        (end,) = yield from write([back], max_tokens=4, temperature=0.0)
        return Found(end, (end,), pruned=(first, large, more, back))


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("draft", OTHERS)
def test_each_model_goes_on_as_if_it_had_read_the_whole_chain(draft, graded):
    done = searched(Handing(graded), local((), draft, temperature=0.0))
    first, large, more, back = done.found.pruned
    end, small = done.found.best, DRAFTS[draft]

    assert first.token_ids == greedy(small, (), 4)
    assert large.text == first.text
    assert more.token_ids == greedy(TARGET, large.token_ids, 4)
    assert back.text == more.text
    assert end.token_ids == greedy(small, back.token_ids, 4)
    assert [one.writer for one in (*done.found.pruned, end)] == [
        "draft", "target", "target", "draft", "draft"
    ]  # fmt: skip
    same = draft == "same-tokens"
    assert (large.token_ids == first.token_ids) == same
    assert (back.token_ids == more.token_ids) == same


def test_chances_are_those_of_the_whole_conversation_behind_the_forced_reply():
    handing = Handing()
    done = searched(handing)
    large = done.found.pruned[1]
    law = torch.softmax(logits_after(TARGET, (*large.token_ids, *TURN)), 0)
    digits = [[t for t in (TARGET.tokenizer.encode(d), TARGET.tokenizer.encode(f" {d}"))
               if len(t) == 1] for d in DIGITS]  # fmt: skip
    wanted = [sum(float(law[token]) for token in {t[0] for t in one}) for one in digits]

    assert handing.grades[0] == pytest.approx(wanted, rel=1e-4)
    assert 0 < sum(wanted) < 1


def test_a_greedy_choice_is_the_likeliest_of_all_tokens():
    class Asking(Strategy):
        def search(self, start, rng):
            (one,) = yield from write([start], max_tokens=2, temperature=0.0)
            self.found = []
            for choices in (DIGITS, ("0", self.word(one))):
                self.found += yield from follow_up([one], ASKED, choices, rule="greedy")
            return Found(one, (one,))

        def word(self, one):
            turn = next_turn(TARGET.tokenizer, TARGET.template, ASKED, thinking=False).tokens
            token = int(logits_after(TARGET, (*one.token_ids, *turn)).argmax())
            return TARGET.tokenizer.text_of(token)

    asking = Asking()
    searched(asking)

    assert asking.found == [(0.0,) * 10, (0.0, 1.0)]


def passes(shape, past, tokens):
    pairs = [causal_pairs(past, tokens, one.window) for one in shape.layers]
    return forward_flops(shape, tokens, pairs, logits=1)


def test_both_models_pay_each_token_once():
    done = searched(Handing(), local((), "same-tokens", temperature=0.0))
    prompt, small = len(PROMPT), DRAFTS["same-tokens"].shape

    assert done.cost.prompt_tokens == prompt
    assert done.cost.output_tokens == 4
    assert done.cost.scoring_tokens == 4 + len(TURN)
    assert done.cost.draft_tokens == prompt + 4 + 4 + 4
    # Each model reads the prompt and the chain but for the newest token, which nothing follows.
    target = passes(TARGET.shape, 0, prompt) + passes(TARGET.shape, prompt, 4)
    target += passes(TARGET.shape, prompt + 4, len(TURN))
    target += sum(passes(TARGET.shape, prompt + 4 + at, 1) for at in range(3))
    draft = passes(small, 0, prompt) + passes(small, prompt + 4, 4)
    draft += sum(passes(small, prompt + at, 1) for at in (0, 1, 2, 3, 8, 9, 10))
    assert done.cost.flops == pytest.approx(target + draft, rel=1e-9)
    assert done.opened.kept.prompt_tokens == prompt


@pytest.mark.parametrize("methods", [("snapkv(keep=120)",), ("specpc-shallow(keep=150)",)])
def test_steps_are_adopted_behind_a_shortened_prompt(methods):
    done = searched(Handing(), local(methods, temperature=0.0))
    alone = searched(Handing(graded=False), local(methods, temperature=0.0))

    assert done.found.best.token_ids == alone.found.best.token_ids
    assert done.opened.kept.cache_bytes < searched(Handing()).opened.kept.cache_bytes


@pytest.mark.parametrize(("theta", "writer"), [(0.0, "draft"), (9.5, "target")])
@pytest.mark.parametrize("draft", OTHERS)
def test_the_limits_are_the_plain_answers_of_each_model(theta, writer, draft):
    done = searched(SpecReason(theta=theta, temperature=1.0, delimiter="e"), local((), draft))
    plain = searched(_Plain(writer), local((), draft))

    assert done.found.best.token_ids == plain.found.best.token_ids
    assert done.found.best.writer == writer


class _Plain(Strategy):
    """The plain answer of a model."""

    def __init__(self, writer):
        self.writer = writer

    def search(self, start, rng):
        answers = yield from write([replace(start, writer=self.writer)])
        return Found(answers[0], tuple(answers))


MIXED = SpecReason(theta=6.8, judge="average", temperature=1.0, delimiter="e", step_tokens=3)


def test_a_chain_of_both_resumes_from_any_outcome():
    whole = Kept()
    done = searched(MIXED, local((), "other-tokens"), whole)
    assert len(done.found.best.steps) > 2
    assert done.found.pruned
    for share in range(0, len(whole.outcomes), 3):
        some = Kept(dict(list(whole.outcomes.items())[:share]))
        again = searched(MIXED, local((), "other-tokens"), some)
        assert texts(again) == texts(done)
        assert again.found.notes == done.found.notes
        assert again.cost.flops == pytest.approx(done.cost.flops)
        assert some.outcomes.keys() == whole.outcomes.keys()


def test_steps_may_be_drafted_token_by_token():
    settings = {"max_tokens": 48, "temperature": 0.0}
    method = replace(MIXED, temperature=None, step_tokens=12)
    plain = searched(method, local((), **settings), max_tokens=48)
    drafted = searched(method, local(("draft-model(tokens=3)",), **settings), max_tokens=48)

    assert drafted.found.best.token_ids == plain.found.best.token_ids
    assert drafted.found.notes == plain.found.notes
    assert drafted.cost.verified_tokens > plain.cost.verified_tokens == 0

"""Controls of a sequence's tokens: by the formulas, by hand, and through the scheduler."""

from __future__ import annotations

import math

import pytest
import torch

from forethought.contracts.controls import GenerationControls, ThinkingMarks
from forethought.contracts.errors import UsageError
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.sampling import SamplingParams, choose_all
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Sequence, SequenceStart
from forethought.engine.static_step import VARIABLE, static_steps
from forethought.engine.thinking import Thinking
from forethought.engine.token_controls import TokenControls
from tests.tiny import batch_of, fresh_logits, tiny_decoder, tokens_of

PROMPT = tokens_of(20)
LENGTH = 12


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


def sequence(decoder, given=None, ends=(), sampling=None, max_tokens=LENGTH, **more):
    batch, cache = batch_of(decoder), SequenceCache(3)
    logits = batch.prefill(cache, PROMPT)
    controls = None if given is None else TokenControls(given, PROMPT, ends, **more)
    return Sequence(
        decoder,
        batch.meter,
        lambda: SequenceStart(cache, logits),
        sampling=sampling or SamplingParams(),
        max_tokens=max_tokens,
        ends=frozenset(ends),
        controls=controls,
    )


def run(*sequences):
    scheduler, sampled = Scheduler(), []
    for one in sequences:
        scheduler.add(one)
    while not scheduler.idle:
        sampled += [event.sampled for event in scheduler.step() if event.sampled is not None]
    return sampled


def answer(decoder, *args, **more):
    one = sequence(decoder, *args, **more)
    run(one)
    return one.tokens


def by_hand(decoder, given, length=LENGTH):
    """The greedy answer, with every adjustment written out as a loop over the vocabulary."""
    tokens: list[int] = []
    for _ in range(length):
        logits = fresh_logits(decoder, [*PROMPT, *tokens]).tolist()
        for token, bias in dict(given.logit_bias).items():
            logits[token] += bias
        for token, logit in enumerate(logits):
            if token in PROMPT or token in tokens:
                factor = given.repetition_penalty
                logits[token] = logit / factor if logit > 0 else logit * factor
            logits[token] -= given.frequency_penalty * tokens.count(token)
            logits[token] -= given.presence_penalty * (token in tokens)
        tokens.append(max(range(len(logits)), key=logits.__getitem__))
    return tokens


@pytest.mark.parametrize(
    "given",
    [
        GenerationControls(frequency_penalty=1.5),
        GenerationControls(frequency_penalty=-2.0),
        GenerationControls(presence_penalty=2.0),
        GenerationControls(repetition_penalty=1.7),
        GenerationControls(repetition_penalty=0.6),
        GenerationControls(logit_bias={5: 4.0, 60: -100.0}),
        GenerationControls(
            frequency_penalty=0.4,
            presence_penalty=0.7,
            repetition_penalty=1.2,
            logit_bias={11: 3.0, 12: -3.0},
        ),
    ],
)
def test_a_greedy_answer_follows_the_formulas(decoder, given):
    plain = answer(decoder)

    found = answer(decoder, given)

    assert found == by_hand(decoder, given)
    assert found != plain


def test_a_penalty_for_repetition_lowers_every_logit_of_a_token_that_was_there():
    logits = torch.tensor([2.0, -2.0, 1.0, -1.0, 3.0, -3.0])
    given = GenerationControls(repetition_penalty=2.0)

    found = TokenControls(given, [0, 1, 0]).follow([3, 3]).adjusted(logits)

    assert found.tolist() == [1.0, -4.0, 1.0, -2.0, 3.0, -3.0]


def test_penalties_count_the_answer_and_not_the_prompt():
    given = GenerationControls(frequency_penalty=0.5, presence_penalty=1.0)

    found = TokenControls(given, [0, 1]).follow([1, 1, 2]).adjusted(torch.zeros(4))

    assert found.tolist() == [0.0, -2.0, -1.5, 0.0]


def test_default_controls_leave_the_logits_alone(decoder):
    warm = SamplingParams(temperature=1.0, seed=3)

    assert TokenControls(GenerationControls()).adjusted(torch.zeros(97)) is None
    assert answer(decoder, GenerationControls(), sampling=warm) == answer(decoder, sampling=warm)


def test_controls_of_one_sequence_do_not_change_the_others(decoder):
    given = GenerationControls(frequency_penalty=2.0)
    first, second = sequence(decoder), sequence(decoder, given)

    run(first, second)

    assert first.tokens == answer(decoder)
    assert second.tokens == answer(decoder, given)


def test_controls_hold_in_static_decode_steps(decoder, monkeypatch):
    given = GenerationControls(frequency_penalty=1.5, logit_bias={5: 2.0})
    expected = [answer(decoder, given), answer(decoder)]
    monkeypatch.setenv(VARIABLE, "static")
    fresh = tiny_decoder()
    rows = [sequence(fresh, given), sequence(fresh)]

    run(*rows)

    steps = static_steps(fresh)
    assert steps is not None
    assert not steps.ended
    assert [one.tokens for one in rows] == expected


def test_log_probabilities_are_those_of_the_raw_logits(decoder):
    given = GenerationControls(logit_bias={7: 100.0}, frequency_penalty=2.0)
    sampling = SamplingParams(top_logprobs=3)
    one = sequence(decoder, given, sampling=sampling)

    sampled = run(one)

    assert set(one.tokens) == {7}
    for place, found in enumerate(sampled):
        law = torch.log_softmax(fresh_logits(decoder, [*PROMPT, *one.tokens[:place]]), 0)
        assert found.log_probability == pytest.approx(float(law[7]), abs=1e-5)
        assert [token for token, _ in found.top] == law.topk(3).indices.tolist()


def test_only_allowed_tokens_are_drawn(decoder):
    given = GenerationControls(allowed_tokens=(3, 50, 96))
    hot = SamplingParams(temperature=2.0, seed=1)

    assert set(answer(decoder, given, sampling=hot, max_tokens=80)) == {3, 50, 96}


def test_an_end_token_is_forbidden_before_the_minimum_length(decoder):
    plain = answer(decoder)
    end = plain[2]
    ends = {"ends": (end,)}

    assert answer(decoder, **ends) == plain[: plain.index(end)]
    found = answer(decoder, GenerationControls(min_tokens=7), **ends)
    assert len(found) >= 7
    assert end not in found
    assert found[:2] == plain[:2]


def test_an_end_token_counts_at_the_minimum_length(decoder):
    given = GenerationControls(min_tokens=4, logit_bias={9: 100.0})
    one = sequence(decoder, given, ends=(9,))

    run(one)

    assert len(one.tokens) == 4
    assert one.finish == "stop"


def test_controls_that_leave_no_token_fail_their_own_sequence_alone(decoder):
    given = GenerationControls(allowed_tokens=(9,), min_tokens=2)
    bad = sequence(decoder, given, constraint=Only([]))
    good = sequence(decoder)

    run(bad, good)

    assert isinstance(bad.error, UsageError)
    assert "no token" in bad.error.message
    assert bad.error.hint
    assert good.tokens == answer(decoder)


class Only:
    """A constraint to one text."""

    def __init__(self, text):
        self.text = list(text)
        self.complete = False

    def allowed(self, vocabulary):
        found = torch.zeros(vocabulary, dtype=torch.bool)
        found[self.text[:1]] = True
        return found

    def accept(self, token):
        if self.text[:1] != [token]:
            raise UsageError(f"token {token} is not allowed")
        del self.text[0]
        self.complete = not self.text


def test_a_constraint_decides_the_tokens_and_the_end(decoder):
    text = [5, 80, 5, 5, 31]
    one = sequence(
        decoder, GenerationControls(min_tokens=9), ends=(31,), constraint=Only([*text, 2])
    )

    run(one)

    assert one.tokens == text[:4]  # 31 ends it, since nothing else may come


def test_a_constraint_that_is_complete_ends_the_answer(decoder):
    one = sequence(decoder, GenerationControls(), constraint=Only([4, 8, 15]), max_tokens=3)

    run(one)

    assert one.tokens == [4, 8, 15]
    assert one.finish == "stop"


def test_controls_follow_the_tokens_of_an_earlier_piece(decoder):
    given = GenerationControls(frequency_penalty=1.5, repetition_penalty=1.3)
    whole = answer(decoder, given)
    batch, cache = batch_of(decoder), SequenceCache(3)
    logits = batch.prefill(cache, [*PROMPT, *whole[:5]])
    controls = TokenControls(given, PROMPT).follow(whole[:5])
    later = Sequence(
        decoder,
        batch.meter,
        lambda: SequenceStart(cache, logits),
        max_tokens=LENGTH,
        tokens=whole[:5],
        controls=controls,
    )

    run(later)

    assert later.tokens == whole


MARKS = ThinkingMarks(opening=90, closing=91, close=(10, 91, 11))


def thinking(prompt=(90,), limit=None):
    return Thinking(MARKS, prompt, turns=(95,), limit=limit)


@pytest.mark.parametrize(
    ("prompt", "inside", "may_open"),
    [
        ((), False, True),
        ((95, 3, 90, 4), True, False),
        ((95, 90, 4, 91, 11), False, False),
        ((90, 95, 3), False, True),  # an earlier turn
    ],
)
def test_the_prompt_opens_or_closes_the_reasoning(prompt, inside, may_open):
    found = thinking(prompt)

    assert found.inside is inside
    assert found.may_open is may_open


@pytest.mark.parametrize("limit", [0, 1, 4])
def test_a_spent_budget_forces_the_end_of_the_reasoning(decoder, limit):
    given = GenerationControls(thinking_budget=limit)
    plain = answer(decoder, max_tokens=10)
    one = sequence(decoder, given, thinking=thinking(limit=limit), max_tokens=10)

    run(one)

    assert one.tokens[:limit] == plain[:limit]
    assert one.tokens[limit : limit + 3] == list(MARKS.close)
    assert one.tokens[limit + 3 :] == continued(decoder, one.tokens[: limit + 3], 7 - limit)
    assert one.controls.reasoning_tokens == limit + 2


def continued(decoder, tokens, count):
    found = list(tokens)
    for _ in range(count):
        found.append(int(fresh_logits(decoder, [*PROMPT, *found]).argmax()))
    return found[len(tokens) :]


def test_reasoning_within_its_budget_is_left_alone(decoder):
    plain = answer(decoder)
    given = GenerationControls(thinking_budget=LENGTH)

    assert answer(decoder, given, thinking=thinking(limit=LENGTH)) == plain
    assert answer(decoder, GenerationControls(), thinking=thinking()) == plain


def test_equal_tokens_lead_to_an_equal_state_in_the_middle_of_the_forced_end():
    for count in range(8):
        whole = thinking(limit=2)
        taken = []
        for token in (5, 6, 7, 8, 9, 4, 3, 2)[:count]:
            token = token if whole.forced is None else whole.forced
            whole.accept(token)
            taken.append(token)
        again = thinking(limit=2)
        for token in taken:
            again.accept(token)
        assert (again.forced, again.inside, again.tokens) == (
            whole.forced,
            whole.inside,
            whole.tokens,
        )


def test_a_constraint_waits_for_the_end_of_the_reasoning(decoder):
    given = GenerationControls(thinking_budget=3)
    text = [4, 8, 15]
    thinks = thinking(limit=3)
    one = sequence(decoder, given, constraint=Only(text), thinking=thinks, max_tokens=40)

    run(one)

    assert one.tokens[3:6] == list(MARKS.close)
    assert one.tokens[6:] == text
    assert one.finish == "stop"


def test_reasoning_may_come_first_under_a_constraint_and_cannot_end_the_answer(decoder):
    given = GenerationControls(logit_bias={90: 50.0, 33: 100.0})
    thinks = thinking(prompt=(), limit=4)
    one = sequence(
        decoder, given, ends=(33,), constraint=Only([4, 8]), thinking=thinks, max_tokens=40
    )

    run(one)

    assert one.tokens[0] == 90
    assert 33 not in one.tokens
    assert one.tokens[-2:] == [4, 8]


def test_adjusted_rows_are_chosen_among_others_as_if_alone(decoder):
    rows = [torch.randn(97, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    given = TokenControls(GenerationControls(logit_bias={1: 50.0}))
    sampling = SamplingParams(temperature=0.9, top_logprobs=2, certainty=True)
    one = sequence(decoder, sampling=sampling)
    one.logits = rows[0]
    plain = [one.choice() for _ in rows]
    mixed = [*plain[:2], given.applied(plain[2], rows[2]), plain[3]]

    found = choose_all(rows, mixed)

    assert [found[n] for n in (0, 1, 3)] == [choose_all(rows, plain)[n] for n in (0, 1, 3)]
    assert found[2].token == 1
    assert found[2].log_probability == pytest.approx(float(torch.log_softmax(rows[2], 0)[1]))


def test_damaged_logits_are_damage_and_no_lack_of_tokens():
    logits = torch.full((97,), math.nan)

    assert TokenControls(GenerationControls(logit_bias={1: 2.0})).adjusted(logits) is not None

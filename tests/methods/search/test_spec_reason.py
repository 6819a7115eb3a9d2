"""Steps by a draft that the target grades and rewrites, on laws that are known."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.search import Adopt, Candidate, FollowUp, Piece, Write
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.spec_reason import SpecReason, grade
from tests.driver.searches import searched
from tests.methods.search.by_hand import distance, lines

TARGET, DRAFT = lines(0.9, 3), lines(0.4, 3)
WARM = {"temperature": 1.0, "delimiter": "\n"}


def newest_line(text):
    return text.strip().split("\n")[-1]


def strict(question, choices):
    """Grades a step 8 if its letter is a, else 3."""
    good = newest_line(question.split("Answer: ")[1].split("\n\n")[0]) == "a"
    return tuple(float(one == ("8" if good else "3")) for one in choices)


def backend(opinion=strict, target=TARGET):
    return KnownBackend(target, drafted=DRAFT, opinion=opinion)


def ran(seed=0, opinion=strict, budget="", **settings):
    method = SpecReason(**{**WARM, **settings})
    return searched(method, backend=backend(opinion), seed=seed, budget=budget)


def said(answers):
    return [(one.text, one.tokens, one.finish, round(one.log_probability, 9)) for one in answers]


@pytest.mark.parametrize("seed", range(8))
def test_at_0_it_is_the_drafts_answer_token_for_token(seed):
    found = ran(seed, theta=0.0)
    small = searched(MajorityVote(n=1), DRAFT, seed=seed)

    assert said([found.found.best]) == said([small.found.best])
    assert found.cost.draft_tokens == small.cost.output_tokens
    assert (found.cost.output_tokens, found.cost.scoring_tokens) == (0, 0)


@pytest.mark.parametrize("seed", range(8))
def test_above_9_it_is_the_targets_answer_token_for_token(seed):
    found = ran(seed, theta=9.5)
    large = searched(MajorityVote(n=1), TARGET, seed=seed)

    assert said([found.found.best]) == said([large.found.best])
    assert found.cost.output_tokens == large.cost.output_tokens
    assert (found.cost.draft_tokens, found.cost.scoring_tokens) == (0, 0)


def test_where_all_is_rejected_it_is_the_targets_likeliest_answer():
    rejecting = ran(opinion=lambda question, choices: (1.0, *([0.0] * 9)), temperature=0.0)
    greedy = searched(Greedy(), TARGET)

    assert rejecting.found.best.text == greedy.found.best.text
    assert rejecting.cost.output_tokens == greedy.cost.output_tokens
    assert len(rejecting.found.pruned) == 3


def expected(theta):
    """The law of three lines: a draft's line counts if its grade is enough, else the target's."""
    found = {"": 1.0}
    for line in range(3):
        end = "\n" if line < 2 else ""
        accepted = {"a": 0.4 * (theta <= 8), "b": 0.6 * (theta <= 3)}
        left = 1 - sum(accepted.values())
        step = {"a": accepted["a"] + left * 0.9, "b": accepted["b"] + left * 0.1}
        found = {
            text + letter + end: chance * share
            for text, chance in found.items()
            for letter, share in step.items()
        }
    return found


def test_answers_have_the_law_of_the_two_models_and_the_grades():
    done = [ran(seed, theta=7.0) for seed in range(250)]

    # The mean distance of 250 draws from this law is 0.03; without the target it is 0.77.
    assert distance([one.found.best.text for one in done], expected(7.0)) < 0.08


def published(draft, target, rate, theta, first):
    """The authors' loop: small step, grade, and the base model's step where it is too low."""
    chain, writers, steps = "", [], 0
    while True:
        step = draft(chain) if steps >= first else None
        if step is None or rate(chain + step) < theta:
            step, writer = target(chain), "target"
        else:
            writer = "draft"
        chain, steps = chain + step, steps + 1
        writers.append(writer)
        if not step:
            return chain, writers


@pytest.mark.parametrize("judge", ["greedy", "average"])
@pytest.mark.parametrize("seed", range(10))
def test_the_chain_is_that_of_the_published_loop(seed, judge):
    words = [f"{word}\n\n" for word in "abcdef"] + [""]

    def step(writer, text):
        drawn = random.Random(f"{seed}{writer}{text}")
        return drawn.choice(words if text.count("\n\n") > 2 else words[:-1])

    def chances(text):
        drawn = random.Random(f"{seed}{text}")
        if judge == "greedy":
            best = drawn.randrange(11)  # 10 is a word that is no digit
            return tuple(float(digit == best) for digit in range(10))
        return tuple(drawn.random() ** 4 for _ in range(10))

    def rate(text):
        found = chances(text)
        mass = sum(found)
        return sum(digit * share / mass for digit, share in enumerate(found)) if mass else 0

    first = seed % 3
    search = SpecReason(judge=judge, theta=5.0, first=first).search(
        Candidate(), np.random.default_rng(0)
    )
    reply, writers, rules = None, [], set()
    try:
        while True:
            ask = search.send(reply)
            if isinstance(ask, Write):
                (parent,) = ask.parents
                assert (ask.until, ask.delimiter) == ("step", "\n\n")
                assert (ask.max_tokens, ask.temperature) == (512, 0.6)
                text = step(parent.writer, parent.text)
                reply = [parent.grown(0, Piece(text, (), 1, 0.0, "step" if text else "stop"))]
            elif isinstance(ask, Adopt):
                text = ask.step.steps[-1]
                assert ask.parent.writer != ask.step.writer
                assert ask.parent.text + text == ask.step.text
                finish = ask.step.finish or "step"
                reply = [ask.parent.grown(1, Piece(text, (), 1, 0.0, finish))]
            else:
                assert isinstance(ask, FollowUp)
                (judged,) = ask.candidates
                assert judged.writer == "target"
                rules.add(ask.rule)
                writers.append(judged.text)
                reply = [chances(judged.text)]
    except StopIteration as stopped:
        found = stopped.value

    text, wrote = published(
        lambda chain: step("draft", chain), lambda chain: step("target", chain), rate, 5.0, first
    )
    assert found.best.text == text
    assert found.notes[0] == f"{wrote.count('draft')} of {len(wrote)} steps by the draft"
    assert rules <= {"greedy" if judge == "greedy" else "token"}


def test_a_grade_is_the_mean_of_the_digits_alone():
    assert grade((0.0,) * 7 + (0.2, 0.0, 0.1)) == pytest.approx((7 * 0.2 + 9 * 0.1) / 0.3)
    assert grade((0.0,) * 10) == 0.0
    assert grade((0.0,) * 8 + (1.0, 0.0)) == 8.0


def test_first_steps_are_the_targets():
    for seed in range(6):
        done = ran(seed, theta=1.0, first=2)
        assert done.cost.output_tokens == 4  # two lines of a letter and its end
        assert done.found.notes[0] == "1 of 3 steps by the draft"


def test_rejected_steps_are_paid_and_shown():
    for seed in range(12):
        done = ran(seed)
        rejected = done.found.pruned
        accepted = 3 - len(rejected)
        assert all(newest_line(one.text) == "b" for one in rejected)
        assert {one.writer for one in rejected} <= {"draft"}
        # The draft decodes every step and prefills those that it goes on from.
        lengths = (2, 2, 1)
        decoded = sum(lengths)
        assert done.cost.draft_tokens == decoded
        again = done.cost.scoring_tokens - decoded - 3  # the steps, and one for each question
        assert 2 * max(0, len(rejected) - 1) <= again <= 2 * min(2, len(rejected))
        assert done.found.best.text.count("\n") == 2
        assert f"{accepted} of 3 steps" in done.found.notes[0]


@pytest.mark.parametrize("budget", range(1, 16))
def test_a_budget_of_tokens_holds_for_both_and_leaves_an_answer(budget):
    for seed in range(4):
        done = ran(seed, budget=f"{budget}tok")
        decoded = sum(one.tokens for one in _decoded(done))
        assert decoded <= budget
        assert done.found.best.text


def _decoded(done):
    """A piece of each step that was decoded: the chain's own, and those that were rejected."""
    chain = [replace(done.found.best, tokens=done.found.best.tokens)]
    return chain + [replace(one, tokens=one.lengths[-1]) for one in done.found.pruned]


def test_a_draft_that_never_ends_a_step_is_cut():
    endless = KnownBackend(lambda q, t: {END: 1.0}, drafted=lambda q, t: {"x": 1.0})
    endless.opinion = lambda question, choices: (0.0,) * 9 + (1.0,)
    done = searched(SpecReason(step_tokens=7, temperature=1.0), backend=endless)

    assert Counter(done.found.best.lengths) == {7: 4, 2: 1}  # 30 tokens at most
    assert done.found.best.finish == "length"

"""Step-level beam search on laws whose every probability is known."""

import pytest

from forethought.backends.known import END
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.step_beam import StepBeam
from tests.driver.searches import Rule, searched
from tests.methods.search.by_hand import Hand, distance, tokens_of, uneven, written_out

STEPS = {"delimiter": "\n"}
ALIKE = dict.fromkeys("bcdefg", 1 / 6)


def good(text):
    return sum(line == "a" for line in text.split()) / 3


def found(rule=good, seed=0, budget="", **settings):
    method = StepBeam(**{**STEPS, **settings})
    return searched(method, scorer=Rule(rule), seed=seed, budget=budget)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("depth", [1, 2, 40])
def test_one_way_of_one_step_is_the_plain_answer(seed, depth):
    best = found(width=1, n=1, depth=depth, seed=seed).found.best
    plain = searched(MajorityVote(n=1), seed=seed).found.best

    assert best.text == plain.text
    assert best.log_probability == pytest.approx(plain.log_probability)


def test_width_one_is_the_best_of_n_at_every_step():
    # With many ways, each step is a with near certainty, whose score is the best.
    texts = [found(width=1, n=12, seed=seed).found.best.text for seed in range(20)]
    assert texts.count("a\na\na\n") >= 18


def test_an_answer_that_ends_leaves_the_beam():
    def law(question, text):
        if not text:
            return {"a": 0.5, "b": 0.5}
        if text == "a":
            return {"": 1.0}  # ends at once
        return {"\n": 1.0} if text[-1] == "b" and text.count("\n") < 2 else {"": 1.0}

    done = searched(StepBeam(width=2, n=6, **STEPS), law, scorer=Rule(lambda text: 0.5))
    texts = [one.text for one in done.found.considered]
    assert sorted(texts) == ["a", "b\n"]
    # Both starts draw six ways; once a has ended, one beginning is left to draw behind.
    assert done.written == 2 * 6 + 6


def test_equal_steps_leave_room_for_more_ways_later():
    def law(question, text):
        if not text:
            return {"a": 1.0}
        return {END: 1.0} if text.count("\n") == 2 else {"\n": 1.0} if text[-1] != "\n" else ALIKE

    done = searched(StepBeam(width=3, n=8, **STEPS), law, scorer=Rule(lambda text: 0.5))
    # All first steps are the same; of the second ones three are kept nevertheless.
    assert len(done.found.considered) == 3


def test_the_best_score_of_all_that_ended_is_the_answer():
    done = found(width=3, n=4, seed=5)
    scores = {one.text: good(one.text) for one in done.found.considered}
    assert good(done.found.best.text) == max(scores.values())
    assert done.found.weights == tuple(pytest.approx(good(o.text)) for o in done.found.considered)
    assert done.found.pruned


@pytest.mark.parametrize("budget", [3, 8, 15, 20, 25, 40])
def test_a_budget_ends_it_and_no_whole_answer_is_lost(budget):
    for seed in range(12):
        done = searched(
            StepBeam(width=2, n=3, **STEPS), uneven, scorer=Rule(good), seed=seed,
            budget=f"{budget}tok",
        )  # fmt: skip
        assert done.cost.output_tokens <= budget
        assert tokens_of(done.found) == done.cost.output_tokens
        every = (*done.found.considered, *done.found.pruned)
        assert done.found.best.whole or not any(one.whole for one in every)


def test_all_that_was_written_is_considered_or_given_up():
    for seed in range(6):
        done = searched(StepBeam(width=3, n=4, **STEPS), uneven, scorer=Rule(good), seed=seed)
        assert tokens_of(done.found) == done.cost.output_tokens


def test_a_short_answer_wins_only_by_its_score():
    # All score alike: the answer is the first branch's, so a plain one, however soon others ended.
    law = {"".join(steps): chance for steps, chance in written_out(uneven).items()}
    texts = []
    for seed in range(800):
        told = Hand(uneven, lambda text: 0.5, seed).search(StepBeam(width=2, n=4, **STEPS))
        assert told.best.path == min(one.path for one in told.considered)
        texts.append(told.best.text)
    # 800 plain answers are at a mean distance of 0.04.
    assert distance(texts, law) < 0.06


def test_a_constant_score_keeps_the_first_drawn():
    best = found(rule=lambda text: 0.5, width=1, n=5, seed=7).found.best
    plain = searched(MajorityVote(n=1), seed=7).found.best
    assert best.text == plain.text

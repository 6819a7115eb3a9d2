"""A tree of revisions, by critics whose every chance is known."""

import numpy as np
import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.search import Candidate
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.tree_refine import TreeRefine, _Node
from tests.driver.searches import QUESTION, searched, three_steps


def law_of(success=0.4, likes=None, revisions="bcdefg"):
    """A first answer that is wrong; revisions are right by chance; critics like by `likes`."""

    def law(question, text):
        if text:
            return {END: 1.0}
        if "Check step by step" in question:
            answer = question.split("An answer to it:\n")[1].split("\n")[0]
            liked = (likes or (lambda one: float(one == "right")))(answer)
            both = {f"fine {{}}: {answer}": liked, f"bad {{}}: {answer}": 1 - liked}
            return {said: chance for said, chance in both.items() if chance}
        if "given before" in question:
            wrong = {letter: (1 - success) / len(revisions) for letter in revisions}
            return {"right": success, **wrong} if success else wrong
        return {"a": 1.0}

    return law


def opinion(page, choices):
    assert choices == ("Yes", "No")
    critique = page.split("about an answer:\n\n")[1]
    return (0.9, 0.1) if critique.startswith("fine") else (0.1, 0.9)


class Recorded(KnownBackend):
    def submit(self, request):
        parent = getattr(request, "parent", None)
        if parent is not None:
            self.__dict__.setdefault("asked_of", []).append((parent.question, request.temperature))
        super().submit(request)


def ran(law, opinion=opinion, seed=0, budget="", **settings):
    backend = Recorded(law, opinion=opinion, verdict_flops=2.0)
    done = searched(TreeRefine(**settings), backend=backend, seed=seed, budget=budget)
    return done, [one for one in backend.asked_of if "given before" in one[0]], backend


def test_where_a_verdict_cannot_be_paid_the_most_accepted_answer_is_given():
    noted = 0
    liked = {"a": 0.4, "b": 0.2, "right": 0.3}
    law = law_of(0.3, lambda one: liked.get(one, 0.1))
    for budget in range(2, 120, 3):
        for seed in range(4):
            done, _, _ = ran(law, seed=seed, budget=f"{budget}FLOP")
            assert done.cost.flops <= budget
            judged = done.found.considered
            if any("before the candidates were judged" in note for note in done.found.notes):
                best = max(done.found.weights)
                assert done.found.weights[judged.index(done.found.best)] == best
                noted += len(judged) > 1
    assert noted > 10


@pytest.mark.parametrize("seed", range(6))
def test_with_no_depth_it_is_the_plain_answer(seed):
    found = searched(TreeRefine(depth=0), three_steps, seed=seed).found
    assert found.best == searched(MajorityVote(n=1), seed=seed).found.best


def test_a_first_answer_that_is_accepted_is_not_revised():
    done, revisions, _ = ran(law_of(likes=lambda one: 1.0))
    assert done.found.best.text == "a"
    assert not revisions


def test_after_one_depth_it_is_right_as_often_as_one_of_the_revisions():
    runs = [
        ran(law_of(0.3), seed=seed, depth=1, judges=1, temperature=1.0)[0] for seed in range(200)
    ]
    right = [one.found.best.text == "right" for one in runs]
    # Three deviations of 200 tosses are 0.1.
    assert sum(right) / 200 == pytest.approx(1 - 0.7**3, abs=0.1)
    for done, hit in zip(runs, right, strict=True):
        assert hit == any(one.text == "right" for one in done.found.considered)


def test_it_ends_at_the_first_depth_with_an_accepted_answer():
    for seed in range(12):
        done, revisions, _ = ran(law_of(0.4), seed=seed)
        if done.found.best.text == "right":
            depth = {3: 1, 9: 2, 15: 3}
            assert len(revisions) in depth


def some(answer):
    """No answer is accepted by most; e by more than the others."""
    return {"a": 0.1, "e": 0.4}.get(answer, 0.2)


def test_where_none_is_accepted_the_most_liked_of_all_is_taken_the_latest_of_equals():
    for seed in range(6):
        found = ran(law_of(0.0, some), seed=seed, enough=1.0)[0].found
        values = list(found.weights)
        latest = len(values) - 1 - values[::-1].index(max(values))
        assert found.best == found.considered[latest]
        assert max(values) >= values[0]


def test_enough_1_never_ends_early_and_nodes_are_bounded():
    many = "".join(chr(ord("A") + n) for n in range(26))
    done, revisions, _ = ran(law_of(0.0, lambda one: 1.0, many), enough=1.0, branch=3, width=2)
    assert 3 + 6 + 3 <= len(revisions) <= 3 + 6 + 6
    assert len(done.found.considered) <= 16
    assert len({one.text for one in done.found.considered}) == len(done.found.considered)
    everything = len(done.found.considered) + len(done.found.pruned)
    assert everything == 1 + len(revisions)


def test_equal_revisions_count_once_the_first_of_them():
    done, revisions, _ = ran(law_of(0.0, some, "b"), enough=1.0)
    assert [one.text for one in done.found.considered] == ["a", "b"]
    assert done.found.considered[1].path == (0,)
    assert len(done.found.pruned) == len(revisions) - 1


def test_values_are_shares_of_the_critics():
    for seed in range(8):
        found = ran(law_of(0.0, some), seed=seed, judges=5)[0].found
        assert all(weight * 5 == pytest.approx(round(weight * 5)) for weight in found.weights)
    with_one = [ran(law_of(0.0, some), seed=seed, judges=1)[0].found for seed in range(8)]
    assert {weight for one in with_one for weight in one.weights} == {0.0, 1.0}


def test_revisions_are_asked_for_with_a_critique_that_most_agree_with():
    _, revisions, backend = ran(law_of(0.0, lambda one: 0.3), seed=1, enough=1.0)
    assert revisions
    for question, temperature in revisions:
        assert question.startswith(QUESTION.text)
        said = question.split("A critic said of it:\n")[1].split("\n")[0]
        answer = question.split("given before:\n")[1].split("\n")[0]
        assert said.endswith(f": {answer}")
        heard = [one for one in backend.asked_of if f"An answer to it:\n{answer}\n" in one[0]]
        assert len(heard) == 5
        assert temperature == 0.7


def test_majority_and_its_critique():
    critics = [Candidate(path=(n,), question="q", steps=(f"c{n}",)) for n in range(5)]
    from forethought.methods.search.tree_refine import _node

    def node(*chances):
        accepts = {one.identity: chance for one, chance in zip(critics, chances, strict=True)}
        return _node(Candidate(), critics, accepts)

    assert (node(0.1, 0.9, 0.9, 0.2, 0.9).value, node(0.1, 0.9, 0.9, 0.2, 0.9).critique) == (
        0.6,
        "c1",
    )
    assert node(0.9, 0.1, 0.2, 0.1, 0.3).critique == "c1"
    even = node(0.5, 0.5, 0.9, 0.5, 0.1)
    assert even.value == 0.5
    assert node(0.5, 0.5, 0.5, 0.5, 0.5) == _Node(Candidate(), 0.0, "")


def level(*values):
    return [_Node(Candidate(path=(place,)), value, "") for place, value in enumerate(values)]


def test_the_best_are_kept():
    kept = TreeRefine(width=2)._kept(level(0.2, 0.8, 0.4), np.random.default_rng(0))
    assert [one.value for one in kept] == [0.8, 0.4]


def test_those_drawn_are_different_and_by_their_share_even_where_all_are_0():
    strategy = TreeRefine(width=2, select="drawn")
    counts = np.zeros(4)
    for seed in range(400):
        kept = strategy._kept(level(0.0, 0.0, 0.0, 0.0), np.random.default_rng(seed))
        assert len({one.answer.path for one in kept}) == 2
        counts[[one.answer.path[0] for one in kept]] += 1
    assert counts / 400 == pytest.approx(0.5, abs=0.08)
    for seed in range(50):
        kept = strategy._kept(level(0.0, 0.6, 0.0, 0.4), np.random.default_rng(seed))
        assert {one.value for one in kept} == {0.6, 0.4}


def test_a_critique_is_never_the_answer_whatever_the_budget():
    budgets = [f"{n}tok" for n in (1, 2, 3, 5, 6, 7, 8, 9, 12, 20)]
    budgets += [f"{n}FLOP" for n in (1, 2, 5, 6, 8, 11, 12, 14, 15, 17, 20, 25, 30, 60)]
    for budget in budgets:
        done = ran(law_of(0.0, some), budget=budget)[0]
        texts = {one.text for one in (done.found.best, *done.found.considered)}
        assert texts <= set("abcdefg") | {"right"}
        considered = done.found.considered
        assert len(considered) == 1 or all(one.finish == "stop" for one in considered)


def test_blank_revisions_count_for_nothing():
    def law(question, text):
        if "given before" in question and not text:
            return {" ": 1.0}
        return law_of(0.0, some)(question, text)

    done, revisions, _ = ran(law)
    assert done.found.best.text == "a"
    assert [one.text for one in done.found.considered] == ["a"]
    assert len(revisions) == 3

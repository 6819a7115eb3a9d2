"""Starting over by the model's own judgement, on laws and opinions that are known."""

import math

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.methods.search import adaptive
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import QUESTION, coin, searched, three_steps

DIGITS = "0123456789"


def Adaptive(**settings):
    """One answer after another at the recipe's temperature, if nothing else is said."""
    return adaptive.Adaptive(**{"window": 1, "begin": 0, "annealed": False, **settings})


def levels(question, text):
    """Ten qualities, equally likely."""
    return {END: 1.0} if text else dict.fromkeys(DIGITS, 0.1)


def answer_in(page):
    return page.split("Answer: ")[1].split("\n\n")[0]


def calibrated(page, choices):
    """The chance that a fresh answer is no better."""
    assert choices == ("Yes", "No")
    keep = (int(answer_in(page)) + 1) / 10
    return (1 - keep, keep)


def ran(strategy, law=levels, opinion=calibrated, **settings):
    return searched(strategy, backend=KnownBackend(law, opinion=opinion), **settings)


def even(page, choices):
    return (0.5, 0.5)


def test_its_defaults_start_greedily_and_give_up_partial_answers():
    one = adaptive.Adaptive()
    assert (one.n, one.window, one.begin, one.keep, one.annealed) == (16, 4, 64, 0.5, True)
    for seed in range(3):
        found = ran(adaptive.Adaptive(n=1), three_steps, even, seed=seed).found
        assert found.best.text == searched(Greedy(), seed=seed).found.best.text


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("begin", [0, 2])
def test_with_n_1_it_is_the_plain_answer(seed, begin):
    found = ran(Adaptive(n=1, begin=begin), three_steps, even, seed=seed).found
    plain = searched(MajorityVote(n=1), seed=seed).found.best
    assert (found.best.text, found.best.tokens) == (plain.text, plain.tokens)
    assert found.best.log_probability == pytest.approx(plain.log_probability)


def test_a_threshold_of_0_takes_one_answer_and_none_takes_all():
    assert ran(Adaptive(n=8, enough=0.0)).written == 1
    for seed in range(8):
        found = ran(Adaptive(n=8, enough=None), seed=seed).found
        assert len(found.considered) == 8
        assert int(found.best.text) == max(int(one.text) for one in found.considered)
        assert found.weights == pytest.approx(
            [(int(one.text) + 1) / 10 for one in found.considered]
        )


def test_answers_and_their_quality_are_those_of_optional_stopping():
    most, runs = 6, 300
    done = [ran(Adaptive(n=most, enough=0.8), seed=seed).found for seed in range(runs)]
    # Three of ten are good enough.
    expected = sum(0.7**place for place in range(most))
    drawn = [len(one.considered) for one in done]
    deviation = 3 * 1.9 / math.sqrt(runs)
    assert sum(drawn) / runs == pytest.approx(expected, abs=deviation)
    stopped = [int(one.best.text) for one in done if int(one.best.text) >= 7]
    assert sum(stopped) / len(stopped) == pytest.approx(8.0, abs=3 * 0.82 / math.sqrt(len(stopped)))
    assert all(len(one.considered) == most for one in done if int(one.best.text) < 7)


def test_equal_judgements_leave_the_law_of_plain_answers():
    for seed in range(8):
        found = ran(Adaptive(n=4, enough=None), three_steps, even, seed=seed).found
        assert found.best == found.considered[0]


def test_windows_are_judged_together():
    assert ran(Adaptive(n=12, enough=1.0, window=5), opinion=even).written == 12
    assert ran(Adaptive(n=12, enough=0.5, window=5), opinion=even).written == 5


def likes_a(page, choices):
    keep = 0.9 * (answer_in(page)[:1] == "a") + 0.05
    return (1 - keep, keep)


def test_worse_beginnings_are_given_up():
    strategy = Adaptive(n=8, window=8, enough=None, begin=2, keep=0.25)
    for seed in range(8):
        plain = searched(MajorityVote(n=8), coin(0.5, 9), seed=seed)
        done = ran(strategy, coin(0.5, 9), likes_a, seed=seed)
        assert len(done.found.considered) == 2
        assert [one.text for one in done.found.pruned if len(one.text) != 2] == []
        assert len(done.found.pruned) == 6
        assert done.cost.output_tokens == plain.cost.output_tokens - 6 * (9 - 2)
        if any(one.text[0] == "a" for one in plain.found.considered):
            assert done.found.best.text == "a" * 9


def test_judging_beginnings_changes_no_answer():
    for seed in range(6):
        settings = {"n": 4, "window": 4, "enough": None, "begin": 3}
        pruned = ran(Adaptive(keep=0.5, **settings), three_steps, likes_a, seed=seed).found
        plain = searched(MajorityVote(n=4), seed=seed).found.considered
        assert {one.text for one in pruned.considered} <= {one.text for one in plain}
        kept = ran(Adaptive(keep=1.0, **settings), three_steps, likes_a, seed=seed).found
        assert [one.text for one in kept.considered] == [one.text for one in plain]
        assert not kept.pruned


def test_answers_that_ended_early_stay_in_the_running():
    # a ends at once, b goes on: a is judged once, as a whole answer.
    def law(question, text):
        if not text:
            return {"a": 0.5, "b": 0.5}
        return {END: 1.0} if text == "a" or len(text) == 8 else {"b": 1.0}

    pages = []

    def opinion(page, choices):
        pages.append(page)
        return likes_a(page, choices)

    done = ran(Adaptive(n=6, window=6, enough=None, begin=4, keep=0.34), law, opinion, seed=1)
    whole = [one for one in done.found.pruned + done.found.considered if one.text == "a"]
    assert done.found.best.text == "a"
    assert whole
    assert len(pages) == 6 + sum(one.text != "a" for one in done.found.considered)
    for page in pages:
        assert page.startswith(f"Question: {QUESTION.text}\n")
        assert page.endswith('Would you do better if you started over? ("Yes." or "No.")')


def test_at_least_one_beginning_is_written_on():
    done = ran(Adaptive(n=3, window=3, enough=None, begin=1, keep=0.0), coin(), likes_a)
    assert len(done.found.considered) == 1
    assert done.found.best.finish == "stop"


def test_temperatures_rise():
    class Recorded(KnownBackend):
        def submit(self, request):
            self.__dict__.setdefault("warmths", []).append(getattr(request, "temperature", "-"))
            super().submit(request)

    backend = Recorded(levels, opinion=even)
    searched(Adaptive(n=6, enough=None, annealed=True, window=2), backend=backend)
    assert [one for one in backend.warmths if one != "-"] == [0.0, 0.5, 0.5, 0.75, 0.75, 0.875]


def test_the_budget_ends_it():
    for budget in (1, 3, 8, 20, 33):
        done = ran(Adaptive(n=99, enough=1.0), three_steps, even, budget=f"{budget}tok")
        assert done.cost.output_tokens <= budget
        assert done.budget_spent
        assert len(done.found.considered) < 10
        assert (done.found.best.finish == "stop") == (budget > 6)


def dear(strategy, budget, law=levels, opinion=calibrated, seed=0):
    """A token costs one FLOP, and so does an answer of `levels`; a verdict ten."""
    backend = KnownBackend(law, opinion=opinion, verdict_flops=10.0)
    return searched(strategy, backend=backend, budget=f"{budget}FLOP", seed=seed)


@pytest.mark.parametrize("seed", range(8))
def test_without_a_budget_for_any_verdict_most_of_the_answers_decide(seed):
    done = dear(Adaptive(n=5, window=5), 30, coin(0.4), likes_a, seed)
    plain = searched(MajorityVote(n=5), coin(0.4), seed=seed).found
    assert done.found.best.text == plain.best.text
    assert done.found.confidence == plain.confidence
    assert done.budget_spent
    assert "before the candidates were judged" in done.found.notes[0]


def test_where_the_budget_covers_some_verdicts_they_decide():
    for seed in range(8):
        done = dear(Adaptive(n=6, window=2, enough=None), 62, seed=seed)
        drawn = [int(one.text) for one in done.found.considered]
        assert len(drawn) == 6
        assert int(done.found.best.text) == max(drawn[:4])
        assert done.found.weights[4:] == (0.0, 0.0)
        assert done.found.notes


def test_beginnings_that_nobody_can_pay_to_judge_are_all_written_on():
    strategy = Adaptive(n=4, window=4, begin=1, keep=0.5, enough=None)
    done = dear(strategy, 30, coin(0.4), likes_a)
    assert [one.finish for one in done.found.considered] == ["stop"] * 4
    assert not done.found.pruned
    assert done.cost.flops == 12

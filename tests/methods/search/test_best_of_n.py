"""Best of n on laws whose every probability is known."""

from dataclasses import dataclass

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.records import Cost
from forethought.contracts.search import Scorer, charge
from forethought.methods.search.best_of_n import BestOfN
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import Rule, coin, searched, three_steps


def right(text):
    return float(text.startswith("b"))


def some(text):
    return {"a": 0.2, "b": 0.9, "c": 0.5}[text[0]]


def told(found):
    return [(one.text, one.token_ids, one.log_probability) for one in found.considered]


@pytest.mark.parametrize("pick", ["best", "vote"])
@pytest.mark.parametrize("seed", range(6))
def test_with_n_1_it_is_the_plain_answer(seed, pick):
    found = searched(BestOfN(n=1, pick=pick), scorer=Rule(some), seed=seed).found
    plain = searched(MajorityVote(n=1), seed=seed).found
    assert told(found) == told(plain)
    assert found.best == found.considered[0]


def test_by_a_scorer_that_knows_it_is_right_wherever_one_is():
    hits = 0
    for seed in range(300):
        found = searched(BestOfN(n=3), coin(0.7), scorer=Rule(right), seed=seed).found
        assert right(found.best.text) == max(right(one.text) for one in found.considered)
        hits += right(found.best.text)
    # One of three is right with chance 1 - 0.7^3 = 0.657; three deviations are 0.08.
    assert hits / 300 == pytest.approx(1 - 0.7**3, abs=0.08)


def test_a_constant_score_leaves_the_law_of_plain_answers():
    for seed in range(12):
        found = searched(BestOfN(n=5), scorer=Rule(lambda text: 0.4), seed=seed).found
        assert found.best == found.considered[0]


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_a_vote_of_equal_scores_is_a_majority_vote(constant):
    for seed in range(12):
        found = searched(
            BestOfN(n=7, pick="vote"), scorer=Rule(lambda text: constant), seed=seed
        ).found
        plain = searched(MajorityVote(n=7), seed=seed).found
        assert found.best.text == plain.best.text
        assert found.confidence == pytest.approx(plain.confidence)


def test_a_vote_with_one_score_above_0_takes_that_answer():
    for seed in range(12):
        scorer = Rule(lambda text: 0.1 * (text == "b\na\na\n"))
        vote = searched(BestOfN(n=9, pick="vote"), scorer=scorer, seed=seed).found
        best = searched(BestOfN(n=9), scorer=scorer, seed=seed).found
        if any(one.text == "b\na\na\n" for one in best.considered):
            assert vote.best.text == best.best.text == "b\na\na\n"


def test_scores_add_up_in_a_vote_and_not_without():
    # Three of a (0.4 each) outweigh one b (0.9).
    law, scorer = coin(0.75), Rule(lambda text: {"a": 0.4, "b": 0.9}[text[0]])
    seed = next(
        seed
        for seed in range(99)
        if [one.text[0] for one in searched(MajorityVote(n=4), law, seed=seed).found.considered]
        == ["a", "b", "a", "a"]
    )
    vote = searched(BestOfN(n=4, pick="vote"), law, scorer=scorer, seed=seed).found
    assert vote.best == vote.considered[0]
    assert vote.confidence == pytest.approx(1.2 / 2.1)
    best = searched(BestOfN(n=4), law, scorer=scorer, seed=seed).found
    assert best.best == best.considered[1]
    assert best.confidence == pytest.approx(0.9 / 2.1)


def test_what_was_cut_off_before_it_said_anything_is_taken_only_for_want_of_others():
    def law(question, text):
        if not text:
            return {"a": 0.5, "b": 0.5}
        return {END: 1.0} if text == "aaa" else {text[0]: 1.0}  # b goes on for ever

    scorer = Rule(lambda text: {"a": 0.1, "b": 0.9}[text[0]])
    chosen = set()
    for seed in range(20):
        found = searched(BestOfN(n=3), law, scorer=scorer, seed=seed, max_tokens=6).found
        texts = {one.text for one in found.considered}
        chosen |= texts
        assert found.best.text == ("aaa" if "aaa" in texts else "bbbbbb")
    assert chosen == {"aaa", "bbbbbb"}


def test_a_vote_is_represented_by_its_best_answer():
    class Letter:
        def group(self, candidates):
            return [ord(one.text[0]) - ord("a") for one in candidates]

    def rule(text):
        return {"a": 0.3, "b": 0.6, "c": 0.9}[text[2]] * 0.9

    for seed in range(8):
        found = searched(
            BestOfN(n=8, pick="vote"), scorer=Rule(rule), reader=Letter(), seed=seed
        ).found
        members = [one for one in found.considered if one.text[0] == found.best.text[0]]
        assert rule(found.best.text) == max(rule(one.text) for one in members)


def test_more_answers_never_lower_the_best_score():
    for seed in range(6):
        few = searched(BestOfN(n=3), scorer=Rule(some), seed=seed).found
        more = searched(BestOfN(n=9), scorer=Rule(some), seed=seed).found
        assert few.considered == more.considered[:3]
        assert some(more.best.text) >= some(few.best.text)


@pytest.mark.parametrize("window", [1, 3])
def test_it_stops_at_the_first_that_is_good_enough(window):
    seen = set()
    for seed in range(20):
        done = searched(BestOfN(n=12, enough=0.9, window=window), scorer=Rule(some), seed=seed)
        full = searched(BestOfN(n=12), scorer=Rule(some), seed=seed).found.considered
        first = next((n for n, one in enumerate(full) if some(one.text) >= 0.9), 11)
        assert done.found.considered == full[: (first // window + 1) * window]
        seen.add(len(done.found.considered))
    assert len(seen) > 2


def test_a_threshold_of_0_takes_one_answer():
    assert searched(BestOfN(n=9, enough=0.0), scorer=Rule(some)).written == 1


def test_the_budget_ends_it_with_the_best_whole_answer():
    for budget in range(1, 40):
        done = searched(BestOfN(n=6), scorer=Rule(some), budget=f"{budget}tok", seed=budget)
        whole = [one for one in done.found.considered if one.finish == "stop"]
        assert done.cost.output_tokens <= budget
        if whole:
            assert some(done.found.best.text) == max(some(one.text) for one in whole)
        else:
            assert done.found.best.tokens == max(one.tokens for one in done.found.considered)


def test_one_by_one_it_ends_with_the_budget():
    backend = KnownBackend(three_steps)
    done = searched(BestOfN(n=1000, enough=1.0), backend=backend, scorer=Rule(some), budget="20tok")
    assert len(backend.asked) <= 8
    assert len(done.found.considered) <= 8
    assert done.found.best.finish == "stop"


def test_answers_that_the_budget_cut_are_not_shown_to_the_scorer():
    seen = []

    def rule(text):
        seen.append(text)
        return 0.5

    searched(BestOfN(n=4, enough=1.0), scorer=Rule(rule), budget="17tok")
    assert all(text.count("\n") == 3 for text in seen)
    assert len(seen) == 2


@pytest.mark.parametrize("enough", [0.9, None])
def test_a_strategy_that_is_used_again_does_the_same_again(enough):
    strategy = BestOfN(n=9, enough=enough)
    first = searched(strategy, scorer=Rule(some), seed=5).found
    searched(strategy, scorer=Rule(some), seed=6)
    assert searched(strategy, scorer=Rule(some), seed=5).found == first


@dataclass(frozen=True)
class Dear(Scorer):
    """A scorer that pays ten FLOPs for every answer, a token of which costs one."""

    rule: object

    def score(self, question, candidates):
        yield from charge(Cost(flops=10.0 * len(candidates)))
        return [self.rule(one.text) for one in candidates]


@pytest.mark.parametrize("pick", ["best", "vote"])
@pytest.mark.parametrize("seed", range(8))
def test_without_a_budget_for_any_score_most_of_the_answers_decide(seed, pick):
    law = coin(0.4)
    done = searched(BestOfN(n=5, pick=pick), law, scorer=Dear(right), budget="40FLOP", seed=seed)
    plain = searched(MajorityVote(n=5), law, seed=seed)
    assert done.found.best.text == plain.found.best.text
    assert done.found.confidence == plain.found.confidence
    assert done.budget_spent
    assert "before the candidates were judged" in done.found.notes[0]
    assert done.cost.flops == plain.cost.flops


def test_where_the_budget_covers_some_scores_they_decide():
    scorer = Dear(lambda text: 0.9 if text[0] == "b" else 0.5)
    for seed in range(8):
        done = searched(
            BestOfN(n=4, enough=1.0), coin(0.6), scorer=scorer, budget="33FLOP", seed=seed
        )
        letters = [one.text[0] for one in done.found.considered]
        assert len(letters) == 3
        liked = letters.index("b") if "b" in letters[:2] else 0
        assert done.found.best == done.found.considered[liked]
        assert done.found.weights[2] == 0.0
        assert done.found.notes


def test_votes_by_rank_are_between_a_majority_and_the_best():
    for seed in range(10):
        scorer = Rule(lambda text: (len(text) + ord(text[0]) + 3 * ord(text[2])) / 999)

        def found(seed=seed, scorer=scorer, **settings):
            return searched(BestOfN(n=7, **settings), scorer=scorer, seed=seed).found

        even = found(pick="borda", power=0.0)
        plain = searched(MajorityVote(n=7), seed=seed).found
        assert even.weights == (1.0,) * 7
        assert even.best.text == plain.best.text
        assert found(pick="borda", power=100.0).best.text == found().best.text


def test_a_vote_by_rank_sees_no_more_than_the_order_of_scores():
    for seed in range(10):
        low, high = (
            searched(BestOfN(n=7, pick="borda"), scorer=Rule(rule), seed=seed).found
            for rule in (some, lambda text: 1.0 - 1e-9 * (1.0 - some(text)))
        )
        assert (low.best, low.weights) == (high.best, high.weights)


def test_answers_that_are_cut_have_no_rank():
    strategy = BestOfN(n=4, pick="borda", enough=1.0)
    done = searched(strategy, scorer=Rule(some), budget="17tok")
    whole = [one.finish == "stop" for one in done.found.considered]
    assert sorted(whole) == [False, True, True]
    assert [weight > 0 for weight in done.found.weights] == whole

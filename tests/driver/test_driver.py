"""The driver on toy back ends: budgets, failures, order and resumption."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import BudgetSpentError, ModelError, UsageError
from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, Found, Strategy, score, verdicts, write
from forethought.cost.budget import spend_limit
from forethought.driver.driver import Driver
from forethought.driver.job import JobResult
from forethought.methods.search.a_star import AStar
from forethought.methods.search.beam import Beam
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.mcts import MCTS
from forethought.methods.search.particle_filter import ParticleFilter
from forethought.methods.search.step_beam import StepBeam
from forethought.recipes.recipe import Recipe
from forethought.sessions.run_record import RunRecorder
from tests.driver.searches import Kept, Rule, Twice, coin, delays, job, searched, three_steps


def written(done):
    return [(one.text, one.tokens, one.finish) for one in done.found.considered]


def told(done):
    found = done.found
    return (found.best, found.considered, found.weights, done.cost, done.budget_spent)


class StepByStep(Strategy):
    """Plain sampling, a step at a time."""

    def search(self, start, rng):
        (one,) = yield from write([start], until="step", delimiter="\n")
        while not one.done:
            (one,) = yield from write([one], until="step", delimiter="\n")
        return Found(one, (one,))


class Judging(Strategy):
    """Two answers; then the model is asked which is better, until nothing is left."""

    def search(self, start, rng):
        answers = yield from write([start] * 2)
        for _ in range(50):
            yield from verdicts([one.text for one in answers], ("yes", "no"))
        return Found(answers[0], tuple(answers))


class Blocked(Strategy):
    """Two tokens, and what is thought of them."""

    def search(self, start, rng):
        (half,) = yield from write([start], max_tokens=2)
        yield from verdicts([half.text], ("yes", "no"))
        return Found(half)


def test_one_answer_by_steps_is_the_plain_answer():
    for seed in range(20):
        plain = searched(MajorityVote(n=1), seed=seed).found.best
        steps = searched(StepByStep(), seed=seed).found.best
        assert (steps.text, steps.tokens) == (plain.text, plain.tokens)
        assert steps.log_probability == pytest.approx(plain.log_probability)


@pytest.mark.parametrize("names", [{"run": "a"}, {"key_namespace": "a"}])
def test_one_search_twice_at_once_is_refused_and_not_waited_for(names):
    jobs = [job(MajorityVote(n=2), **{"run": str(at), **names}) for at in range(2)]
    with pytest.raises(UsageError, match="such as a"):
        list(Driver(KnownBackend(coin())).run(jobs))


def test_answers_follow_the_law():
    counts = {}
    for seed in range(400):
        for one in searched(MajorityVote(n=4), coin(), seed=seed).found.considered:
            counts[one.text] = counts.get(one.text, 0) + 1
    assert counts["aaa"] / sum(counts.values()) == pytest.approx(0.7, abs=0.035)


def test_company_and_latency_change_nothing():
    jobs = [
        job(MajorityVote(n=5, confident=0.95, window=2), run=f"run {seed}", seed=seed)
        for seed in range(12)
    ]
    alone = {
        one.run: told(next(iter(Driver(KnownBackend(three_steps)).run([one])))) for one in jobs
    }

    for seed in range(3):
        together = Driver(KnownBackend(three_steps, delay=delays(seed))).run(jobs)
        assert {done.job.run: told(done) for done in together} == alone


def test_a_search_took_what_it_waited_for_now_or_before():
    class Thrice(Strategy):
        def search(self, start, rng):
            found = [start] * 2
            while not found[0].done:
                found = yield from write(found, until="step", delimiter="\n")
            return Found(found[0], tuple(found))

    kept = Kept()
    backend = KnownBackend(three_steps, delay=lambda key: 2.0)
    (first,) = Driver(backend, kept).run([job(Thrice())])
    (again,) = Driver(KnownBackend(three_steps), kept).run([job(Thrice())])

    # Three lines of two tokens, then the end, which takes as long as a token; two at a time.
    assert first.seconds == backend.clock == again.seconds == 3 * 2 * 2.0 + 2.0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.sampled_from(["tok", "FLOP", "usd"]),
    st.integers(1, 64),
    st.integers(0, 10**6),
)
def test_no_budget_is_ever_overshot(amount, unit, n, seed):
    scale = 1e-6 if unit == "usd" else 1
    budget = f"{amount * scale:.6f}{unit}" if unit == "usd" else f"{amount}{unit}"
    backend = KnownBackend(three_steps, delay=delays(seed))
    done = searched(MajorityVote(n=n), backend=backend, budget=budget, seed=seed)

    spent = {"tok": done.cost.output_tokens, "FLOP": done.cost.flops, "usd": done.cost.usd or 0}
    assert spent[unit] <= amount * scale * (1 + 1e-9)
    assert done.budget_spent == any(one.finish == "budget" for one in done.found.considered)
    if not done.budget_spent:
        assert len(done.found.considered) == n


def test_a_budget_that_is_enough_changes_nothing_but_is_used_in_turns():
    def uneven(question, text):
        if not text:
            return {"a": 0.5, "b": 0.5}
        return {END: 1.0} if len(text) == {"a": 2, "b": 12}[text[0]] else {text[0]: 1.0}

    free = searched(MajorityVote(n=6), uneven)
    lengths = {one.tokens for one in free.found.considered}
    assert lengths == {2, 12}
    # One more for each, since an end is only seen where another token could come.
    tight = searched(MajorityVote(n=6), uneven, budget=f"{free.cost.output_tokens + 6}tok")

    # What short leases left over went to the others, piece by piece: the same answers.
    assert written(tight) == written(free)
    assert tight.cost == free.cost
    assert not tight.budget_spent


def test_time_ends_a_search_at_its_moment():
    backend = KnownBackend(three_steps, delay=delays(3))
    done = searched(MajorityVote(n=8), backend=backend, budget="2s")

    assert backend.clock <= 2.0
    assert done.budget_spent
    assert {one.finish for one in done.found.considered} <= {"stop", "budget"}


def test_no_moment_passes_between_beginning_and_waiting():
    class Ticking(KnownBackend):
        """Its clock goes on whenever it is looked at."""

        def now(self):
            self.clock += 0.05
            return self.clock

    for tenths in range(1, 30):
        backend = Ticking(three_steps, delay=lambda key: 100.0)
        done = searched(Twice(), backend=backend, budget=f"{tenths / 10}s")
        assert done.budget_spent
        assert backend.clock <= tenths / 10 + 1.0


def test_a_step_that_ends_with_the_last_token_allowed_ends_the_answer():
    # Two lines are four tokens: nothing is left for a third, and no budget was given.
    for strategy in (
        Beam(n=1, delimiter="\n"),
        StepBeam(width=1, n=1, delimiter="\n"),
        MCTS(n=1, delimiter="\n"),
        ParticleFilter(n=1, delimiter="\n"),
        AStar(n=1, delimiter="\n"),
    ):
        done = searched(strategy, scorer=Rule(lambda text: 0.5), max_tokens=4)
        plain = searched(MajorityVote(n=1), max_tokens=4)
        assert (done.found.best.text, done.found.best.finish) == (plain.found.best.text, "length")
        assert not done.budget_spent


def test_a_beginning_that_a_budget_ended_says_so():
    done = searched(Blocked(), backend=KnownBackend(three_steps, verdict_flops=9.0), budget="8FLOP")
    run = RunRecorder(Recipe(model="toy", search="greedy")).record(done, 1.0)
    assert run.finish == "budget"


@pytest.mark.parametrize(("budget", "said"), [("0.5s", False), ("1tok", True)])
def test_only_a_budget_that_is_no_time_can_be_too_small_for_a_prompt(budget, said):
    limit = spend_limit(budget)
    asked = replace(job(MajorityVote(n=1)), limit=limit)
    ended = JobResult(asked, Cost(), Found(Candidate()), cut="budget")
    run = RunRecorder(Recipe(model="toy", search="greedy")).record(ended, 1.0)
    assert ("the prefill of the prompt takes more than the budget" in run.notes) == said


def test_where_the_budget_ends_before_a_verdict_the_best_answer_so_far_is_given():
    enough = searched(
        Judging(), backend=KnownBackend(three_steps, verdict_flops=9.0), budget="1kFLOP"
    )
    assert not enough.budget_spent

    done = searched(
        Judging(), backend=KnownBackend(three_steps, verdict_flops=9.0), budget="100FLOP"
    )
    assert done.budget_spent
    assert done.cost.flops <= 100
    assert done.found.best.finish == "stop"
    assert "before the candidates were judged" in done.found.notes[0]


def test_a_strategy_hears_where_the_budget_does_not_cover_what_it_asks():
    class Asking(Strategy):
        def search(self, start, rng):
            drawn = yield from write([start] * 3)
            try:
                yield from verdicts([one.text for one in drawn], ("yes", "no"))
            except BudgetSpentError:
                (more,) = yield from write([start])
                return Found(more, (*drawn, more), notes=("by a rule of its own",))

    done = searched(Asking(), backend=KnownBackend(three_steps, verdict_flops=9.0), budget="40FLOP")
    assert done.found.notes == ("by a rule of its own",)
    assert len(done.found.considered) == 4
    assert done.budget_spent
    assert done.cost.flops <= 40


def test_where_the_budget_is_spent_before_any_answer_its_beginning_is_given():
    done = searched(Blocked(), backend=KnownBackend(three_steps, verdict_flops=9.0), budget="8FLOP")
    assert done.budget_spent
    assert done.found.best.tokens == 2
    assert "before the candidates" in done.found.notes[0]


def test_where_the_budget_is_spent_before_anything_it_is_an_error():
    class JudgedBackend(Strategy):
        def search(self, start, rng):
            yield from verdicts(["Is it hard?"], ("yes", "no"))
            return Found(start)

    with pytest.raises(BudgetSpentError, match="before the candidates"):
        searched(
            JudgedBackend(), backend=KnownBackend(three_steps, verdict_flops=9.0), budget="8FLOP"
        )


def test_a_failure_ends_its_own_search_and_no_other():
    good, bad = job(MajorityVote(n=3), run="good"), job(MajorityVote(n=3), run="bad")
    seen = KnownBackend(three_steps)
    list(Driver(seen).run([bad]))

    backend = KnownBackend(three_steps, failures={seen.asked[1]: ModelError("the line is dead")})
    done = {one.job.run: one for one in Driver(backend).run([good, bad])}

    assert str(done["bad"].error) == "the line is dead"
    assert done["bad"].cost.output_tokens > 0
    assert done["good"].found is not None


def test_what_cannot_work_is_refused_before_anything_is_spent():
    class Ranked(MajorityVote):
        scores = True

    class Stepwise(StepByStep):
        needs = frozenset({"steps"})

    backend = KnownBackend(three_steps, abilities=frozenset())
    with pytest.raises(UsageError, match="steps"):
        searched(Stepwise(), backend=backend)
    with pytest.raises(UsageError, match="scorer"):
        searched(Ranked(), backend=KnownBackend(three_steps))
    assert not backend.asked


def test_a_scorer_sees_each_candidate_once():
    seen = []

    def rule(text):
        seen.append(text)
        return len(text) / 30

    class Scoring(Strategy):
        def search(self, start, rng):
            answers = yield from write([start] * 3)
            first = yield from score(answers)
            again = yield from score([answers[1], answers[1], answers[0]])
            assert again == [first[1], first[1], first[0]]
            return Found(answers[0], tuple(answers), tuple(first))

    done = searched(Scoring(), scorer=Rule(rule))
    assert len(seen) == 3
    assert len(done.scores) == 3


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.5, 2.0])
def test_what_is_no_score_ends_its_own_search_and_no_other(number):
    jobs = [
        job(Beam(n=2, width=2, delimiter="\n"), scorer=Rule(lambda text: number), run="bad"),
        job(Beam(n=2, width=2, delimiter="\n"), scorer=Rule(lambda text: 0.5), run="good"),
    ]
    done = {one.job.run: one for one in Driver(KnownBackend(three_steps)).run(jobs)}
    assert "scores go from 0 to 1" in str(done["bad"].error)
    assert done["good"].found is not None


def test_nothing_is_asked_to_go_on_from_an_answer_that_is_done():
    class Again(Strategy):
        def search(self, start, rng):
            (one,) = yield from write([start])
            (same,) = yield from write([one])
            assert same == one
            return Found(one)

    backend = KnownBackend(three_steps)
    searched(Again(), backend=backend)
    assert len(backend.asked) == 1


def test_children_of_one_parent_differ_and_first_children_go_on_with_its_draws():
    class Wide(Strategy):
        def search(self, start, rng):
            first = yield from write([start] * 2, until="step", delimiter="\n")
            more = yield from write([first[1]] * 30, until="step", delimiter="\n")
            return Found(more[0], tuple(more))

    found = searched(Wide(), seed=4).found
    assert len({one.path for one in found.considered}) == 30
    assert len({one.text for one in found.considered}) > 1


def test_greedy_takes_the_likeliest():
    assert searched(Greedy()).found.best.text == "a\na\na\n"


def test_a_strategy_has_its_own_chance():
    class Chance(Strategy):
        def search(self, start, rng):
            (one,) = yield from write([start])
            return Found(one, notes=(str(rng.random()),))

    notes = {searched(Chance(), seed=seed).found.notes for seed in (1, 1, 2)}
    assert len(notes) == 2


def test_a_vote_of_beginnings_gives_the_longest_and_not_the_empty_one():
    done = searched(MajorityVote(n=4), budget="1tok")

    assert sorted(one.tokens for one in done.found.considered) == [0, 0, 0, 1]
    assert done.found.best.tokens == 1


def test_limits_of_two_kinds_hold_together():
    done = searched(MajorityVote(n=9), budget="30tok,17FLOP")
    assert done.cost.flops <= 17
    assert spend_limit("30tok,17FLOP").tokens == 30
    assert np.isfinite(done.cost.flops)

"""A server that judges what another back end writes: charged, held to the budget, never a 0."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from forethought.backends.known import KnownBackend
from forethought.backends.openai.endpoint import Patience
from forethought.backends.openai.verdicts import written_choice
from forethought.contracts.backend import RequestOutcome, VerdictRequest
from forethought.contracts.errors import RemoteError, UsageError
from forethought.contracts.records import Cost
from forethought.contracts.search import Found, Strategy, score, verdicts, write
from forethought.driver.driver import Driver
from forethought.driver.judges import JudgedBackend, Judges
from forethought.methods.scoring.remote_judge import RemoteJudge
from forethought.methods.search.best_of_n import BestOfN
from forethought.methods.search.majority_vote import MajorityVote
from tests.backends.openai.openai_server import PROMPT_TOKENS
from tests.backends.openai.remote_asks import PRICES, request
from tests.driver.searches import Kept, coin, job

FAST = Patience(attempts=3, first_wait=0.0)
LIKES_B = {"bbb": {"Yes": 0.9, "No": 0.1}, "aaa": {"Yes": 0.3, " no": 0.6, "Maybe": 0.1}}
PROMPT = "judge {question} {answer}"


def scorer(toy, **settings):
    return RemoteJudge(f"{toy.base}/v1#toy", **{"prompt": PROMPT, **settings})


@contextmanager
def judged(backend, *jobs, prices=PRICES, journal=None, **settings):
    """What becomes of the jobs, their judges beside the back end."""
    with Judges(prices, patience=FAST, **settings) as judges:
        drive = Driver(
            judges.with_judges(backend, jobs), *([journal] if journal is not None else [])
        )
        yield {done.job.run: done for done in drive.run(jobs)}


def found(toy, strategy=None, budget="", seed=0, journal=None, **settings):
    one = job(strategy or BestOfN(n=6), scorer=scorer(toy), budget=budget, seed=seed)
    with judged(KnownBackend(coin(0.7)), one, journal=journal, **settings) as done:
        return done["run"]


def asked(toy):
    """The judge's prompts that were asked for a verdict."""
    texts = [one["messages"][0]["content"] for one in toy.told()["asked"]]
    return [text for text in texts if text.startswith("judge")]


def test_the_answer_that_the_judge_likes_is_found_and_every_verdict_is_charged(toy):
    toy.set(opinions=LIKES_B)
    done = found(toy)
    texts = [one.text for one in done.found.considered]
    assert set(texts) == {"aaa", "bbb"}
    assert done.found.best.text == "bbb"
    marks = {"aaa": pytest.approx(0.3 / 0.9), "bbb": pytest.approx(0.9)}
    assert [*done.found.weights] == [marks[text] for text in texts]
    assert sorted(asked(toy)) == sorted(f"judge What? {text}" for text in texts)
    assert done.cost.scoring_tokens == 6 * PROMPT_TOKENS
    assert done.cost.output_tokens == 18
    own = 18e-6  # of the law that writes
    assert done.cost.usd == pytest.approx(own + 6 * (PROMPT_TOKENS + 10) / 1e6)


def test_without_chances_what_is_written_counts_as_sure(toy):
    toy.set(opinions={"bbb": {'"YES."': 1.0}, "aaa": {"no": 1.0}}, logprobs=False)
    done = found(toy)
    texts = [one.text for one in done.found.considered]
    assert [*done.found.weights] == [float(text == "bbb") for text in texts]
    assert done.found.best.text == "bbb"
    assert done.cost.usd == pytest.approx(18e-6 + 6 * (PROMPT_TOKENS + 10) / 1e6)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Yes", 0),
        (" no.\n", 1),
        ("**No**", 1),
        ("Yes, it is", None),
        ("", None),
        ("Yes No", None),
        ("Y", None),
    ],
)
def test_a_written_verdict_is_one_of_the_choices_and_nothing_else(text, place):
    assert written_choice(text, ("Yes", "No")) == place


def test_a_word_that_may_be_either_of_two_choices_is_neither():
    assert written_choice("yes", ("Yes", "YES")) is None


@pytest.mark.parametrize(("logprobs", "most"), [(True, 1), (False, 8)])
def test_a_word_is_asked_for_only_where_no_chances_are_told(toy, logprobs, most):
    toy.set(opinion={"Yes": 0.9, "No": 0.1}, logprobs=logprobs)
    found(toy)
    bodies = [one for one in toy.told()["asked"] if one["messages"][0]["content"] in asked(toy)]
    assert {one["max_tokens"] for one in bodies} == {most}
    assert all(("top_logprobs" in one) == logprobs for one in bodies)


@pytest.mark.parametrize("logprobs", [True, False])
def test_a_reply_that_is_no_verdict_is_an_error_and_no_score(toy, logprobs):
    toy.set(opinions={"aaa": {"Perhaps": 1.0}, "bbb": {"Yes": 1.0}}, logprobs=logprobs)
    done = found(toy)
    assert done.found is None
    assert isinstance(done.error, RemoteError)
    assert ("none of Yes, No" if logprobs else "'Perhaps', which is none of Yes, No") in str(
        done.error
    )
    # Where they are paid for, the first verdict goes alone, and none is asked for behind an error.
    assert done.cost.scoring_tokens == len(asked(toy)) * PROMPT_TOKENS == PROMPT_TOKENS


def test_a_judge_that_is_down_is_an_error_before_anything_is_written():
    backend, one = (
        KnownBackend(coin()),
        job(BestOfN(), scorer=RemoteJudge("http://127.0.0.1:9/v1#toy")),
    )
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9"), judged(backend, one):
        pass
    assert not backend.asked


def test_a_verdict_that_had_to_be_asked_for_again_is_charged_once(toy):
    plain = found(toy)
    with Judges(PRICES, patience=FAST) as judges:
        one = job(BestOfN(n=6), scorer=scorer(toy))
        backend = judges.with_judges(KnownBackend(coin(0.7)), [one])
        toy.set({"status": 500}, None, {"drop": 0}, {"abort": 0}, {"status": 429})
        (done,) = Driver(backend).run([one])
    assert done.found == plain.found
    assert done.cost == plain.cost
    # Of the two that broke off, the server had begun with one.
    assert done.lost.prompt_tokens >= PROMPT_TOKENS


def test_a_judge_that_fails_in_the_end_ends_the_search_with_its_error(toy):
    with Judges(PRICES, patience=FAST) as judges:
        one = job(BestOfN(n=2), scorer=scorer(toy))
        backend = judges.with_judges(KnownBackend(coin(0.7)), [one])
        toy.set(*[{"status": 503}] * 9)
        (done,) = Driver(backend).run([one])
    assert isinstance(done.error, RemoteError)
    assert "503" in str(done.error)
    assert done.cost.scoring_tokens == 0


@pytest.mark.parametrize("dollars", [0.0001, 0.0015, 0.003, 0.01])
def test_money_is_never_overshot_and_without_any_for_the_judge_a_vote_decides(toy, dollars):
    toy.set(opinions=LIKES_B)
    done = found(toy, budget=f"${dollars}")
    assert done.cost.usd <= dollars
    assert done.budget_spent == (not asked(toy))
    if done.budget_spent:
        plain = Driver(KnownBackend(coin(0.7))).run([job(MajorityVote(n=6))])
        assert done.found.best.text == next(iter(plain)).found.best.text
    else:
        assert done.found.best.text == "bbb"


def test_some_budget_covers_the_judge_and_some_does_not(toy):
    # So that the cases above are not all of one kind.
    assert found(toy, budget="$0.0001").budget_spent
    assert not found(toy, budget="$0.01").budget_spent


@pytest.mark.parametrize(
    ("budget", "prices", "said"),
    [("$1", {}, "price of toy is not known"), ("1TFLOP", PRICES, "FLOPs")],
)
def test_a_budget_that_the_judge_cannot_hold_is_refused_before_anything_is_asked(
    toy, budget, prices, said
):
    toy.set()
    with pytest.raises(UsageError, match=said):
        found(toy, budget=budget, prices=prices)
    assert not asked(toy)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/v1", "127.0.0.1:1", "http://u:p@h/v1#m"])
def test_an_address_that_names_no_model_or_is_none_is_refused(address):
    one = job(BestOfN(), scorer=RemoteJudge(address))
    with pytest.raises(UsageError), judged(KnownBackend(coin()), one):
        pass


def test_searches_together_are_what_they_are_alone(toy):
    toy.set(opinions=LIKES_B)

    def one(seed):
        return job(BestOfN(n=4), run=f"run {seed}", scorer=scorer(toy), seed=seed)

    plain = job(MajorityVote(n=3), run="plain", seed=9)
    with judged(KnownBackend(coin(0.7)), *map(one, range(5)), plain) as together:
        assert len(together) == 6
        for seed in range(5):
            with judged(KnownBackend(coin(0.7)), one(seed)) as alone:
                assert together[f"run {seed}"].found == alone[f"run {seed}"].found
                assert together[f"run {seed}"].cost == alone[f"run {seed}"].cost
        assert together["plain"].found.best.finish == "stop"


def test_a_search_that_was_stopped_asks_the_judge_nothing_twice(toy):
    toy.set(opinions=LIKES_B)
    kept = Kept()
    whole = found(toy, journal=kept)
    toy.set(opinions=LIKES_B)
    again = found(toy, journal=kept)
    assert again.found == whole.found
    assert again.cost == whole.cost
    assert not asked(toy)


class Both(Strategy):
    """Asks its own model and the judge."""

    def search(self, start, rng):
        answers = yield from write([start] * 2)
        own = yield from verdicts([one.text for one in answers], ("Yes", "No"))
        marks = yield from score(answers)
        return Found(answers[0], tuple(answers), (own[0][0], marks[0]))


def test_verdicts_of_the_runs_own_model_and_of_the_judge_are_not_mixed_up(toy):
    toy.set(opinion={"Yes": 0.9, "No": 0.1})
    one = job(Both(), scorer=scorer(toy))
    with judged(KnownBackend(coin(), opinion=lambda text, choices: (0.25, 0.75)), one) as done:
        assert done["run"].found.weights == (0.25, pytest.approx(0.9))


def test_bounds_are_told_by_who_will_be_asked(toy):
    one = job(BestOfN(), scorer=scorer(toy))
    own, other = (
        VerdictRequest("a", "run", ("?",), ("Yes", "No")),
        VerdictRequest("b", "run", ("judge",), ("Yes", "No"), by=one.scorer.by),
    )
    with Judges(PRICES, patience=FAST) as judges:
        backend = judges.with_judges(KnownBackend(coin(), verdict_flops=7.0), [one])
        first, second = backend.bounds([other, own])
        assert (first.once.flops, second.once.flops) == (0.0, 7.0)
        assert first.once.usd > 0
        assert second.once.usd is None


def test_without_a_judge_the_back_end_stands_alone():
    backend = KnownBackend(coin())
    assert Judges().with_judges(backend, [job(MajorityVote()), job(BestOfN())]) is backend


class Thinking:
    """A judge that replies when it has been looked at so often."""

    def __init__(self, looks):
        self.looks, self.waits = looks, []

    def submit(self, request):
        self.key = request.key

    def poll(self, until=None):
        self.waits.append(until)
        return [RequestOutcome(self.key, Cost())] if len(self.waits) == self.looks else []

    def now(self):
        return 0.0

    def release(self, run):
        self.released = run


def judged_beside_a_piece(looks):
    judge = Thinking(looks)
    both = JudgedBackend(KnownBackend(coin(), delay=lambda key: 10.0), {"j": judge})
    both.submit(VerdictRequest("verdict", "run", ("?",), ("Yes",), by="j"))
    both.submit(request("piece"))
    return both, judge


def heard(both):
    return [one.key for one in both.poll()]


def test_what_is_written_is_heard_of_while_a_judge_thinks():
    both, judge = judged_beside_a_piece(looks=10**6)
    assert heard(both) == ["piece"]
    assert set(judge.waits) == {0.0}  # nobody waited for it
    judge.waits.clear()
    assert both.poll(until=both.now()) == []
    assert min(judge.waits) > 0.0


def test_a_verdict_is_heard_of_while_others_write():
    both, judge = judged_beside_a_piece(looks=3)
    assert heard(both) == ["verdict"]
    assert both.now() < 1.0
    assert heard(both) == ["piece"]
    assert len(judge.waits) == 3


def test_a_run_is_forgotten_by_its_judge_too():
    both, judge = judged_beside_a_piece(looks=1)
    both.release("run")
    assert judge.released == "run"

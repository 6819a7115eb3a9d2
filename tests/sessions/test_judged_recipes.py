"""Recipes whose answers a server judges: keys, prices, one question or many."""

from __future__ import annotations

import itertools

import pytest

from forethought.backends.known import KnownBackend
from forethought.backends.openai.endpoint import Patience
from forethought.backends.openai.recipe_check import check_priced
from forethought.backends.verdict_prefixes import VerdictPrefixes
from forethought.contracts.backend import VerdictRequest
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.contracts.search import Found, Strategy, Verdict, score, verdicts, write
from forethought.cost.prices import Price, prices_of
from forethought.driver.driver import Driver
from forethought.driver.judges import JUDGE_KEY, JudgedBackend, Judges
from forethought.driver.requests import verdict_request
from forethought.methods.scoring.remote_judge import RemoteJudge
from forethought.methods.search.best_of_n import BestOfN
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.recipes.validation import check_money
from forethought.sessions.batch import Answers
from forethought.sessions.batch_question import BatchQuestion
from forethought.sessions.remote_batch import Servers
from forethought.sessions.remote_session import RemoteSession
from forethought.sessions.session import Session
from tests.backends.openai.openai_server import PROMPT_TOKENS
from tests.backends.openai.remote_asks import PRICES
from tests.driver.searches import coin, job
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET

FAST = Patience(attempts=3, first_wait=0.0)
PROMPT = "judge {question} {answer}"


def judge_once(toy, own=""):
    one = job(BestOfN(n=2), scorer=RemoteJudge(f"{toy.base}/v1#toy", prompt=PROMPT))
    with Judges(PRICES, own, FAST) as judges:
        (done,) = Driver(judges.with_judges(KnownBackend(coin()), [one])).run([one])
    assert done.found


def asked(toy):
    """The judge's prompts that were asked for a verdict."""
    texts = [one["messages"][0]["content"] for one in toy.told()["asked"]]
    return [text for text in texts if text.startswith("judge")]


def keys(toy):
    return set(toy.told()["keys"])


def test_a_judge_is_shown_its_own_key(toy, monkeypatch):
    monkeypatch.setenv(JUDGE_KEY, "for-the-judge")
    monkeypatch.setenv("OPENAI_API_KEY", "for-the-writer")
    judge_once(toy)
    assert keys(toy) == {"Bearer for-the-judge"}


@pytest.mark.parametrize(
    ("own", "shown"),
    [("", "Bearer general"), ("http://elsewhere/v1", None), ("same", "Bearer general")],
)
def test_the_key_of_the_server_that_writes_is_shown_to_no_other(toy, monkeypatch, own, shown):
    monkeypatch.delenv(JUDGE_KEY, raising=False)
    monkeypatch.setenv("FORETHOUGHT_API_KEY", "general")
    judge_once(toy, f"{toy.base}/v1" if own == "same" else own)
    assert keys(toy) == {shown}


def recipe(toy, **settings):
    judge = f"remote-judge(server='{toy.base}/v1#toy', prompt='{PROMPT}')"
    return Recipe(
        **{
            "model": "target",
            "search": "best-of-n(n=2)",
            "scorer": judge,
            "max_tokens": 4,
            **settings,
        }
    )


def test_a_question_to_a_model_here_is_judged_there(toy):
    toy.set(opinion={"Yes": 0.8, "No": 0.2})
    session = Session(
        recipe(toy), (), TARGET, TARGET, clock=itertools.count().__next__, prices=PRICES
    )
    *_, done = session.stream(QUESTION, DOCUMENT)
    run = done.data["run"]
    assert [one["score"] for one in run["candidates"]] == pytest.approx([0.8, 0.8])
    assert run["cost"]["scoring_tokens"] == 2 * PROMPT_TOKENS
    assert run["cost"]["usd"] == pytest.approx(2 * (PROMPT_TOKENS + 10) / 1e6)
    assert f"{DOCUMENT}\n\n{QUESTION}" in asked(toy)[0]


def test_a_question_to_a_model_on_a_server_is_judged_by_another_model(toy):
    toy.set(opinion={"Yes": 0.8, "No": 0.2})
    there = recipe(toy, model=f"{toy.base}/v1#other", temperature=1.0)
    *_, done = RemoteSession(there, prices=PRICES).stream("What?")
    assert [one["score"] for one in done.data["run"]["candidates"]] == pytest.approx([0.8, 0.8])
    models = {one["model"] for one in toy.told()["asked"] if "judge" in str(one["messages"])}
    assert models == {"toy"}


def test_many_questions_are_judged_by_one_judge_that_is_found_out_about_once(toy):
    toy.set(opinion={"Yes": 0.8, "No": 0.2})
    with Answers(
        lambda name, weights: TARGET,
        itertools.count().__next__,
        Servers(prices=PRICES, patience=FAST),
    ) as answers:
        for question in ("First?", "Second?"):
            (one,) = answers.answer([BatchQuestion(recipe(toy), question)])
            assert [two["score"] for two in one.run.candidates] == pytest.approx([0.8, 0.8])
        assert len(asked(toy)) == 4
        probes = len(toy.told()["asked"]) - 4
        list(answers.answer([BatchQuestion(recipe(toy, seed=1), "Third?")]))
        assert len(toy.told()["asked"]) == probes + 6


def test_money_is_a_budget_where_a_judge_is_paid_and_prices_go_with_it(toy):
    priced = recipe(toy, budget="$1")
    assert priced.judge == f"{toy.base}/v1#toy"
    check_priced([priced], prices_of(["1/2"]))
    check_money(priced)
    with pytest.raises(UsageError, match="have no price"):
        check_priced([recipe(toy, scorer="self-judge")], prices_of(["1/2"]))
    with pytest.raises(UsageError, match="has no price"):
        Session.open(recipe(toy, scorer="self-judge", budget="$1"))
    asked_together = recipe(toy, scorer="self-judge", budget="$1")
    with (
        Answers(lambda name, weights: TARGET) as answers,
        pytest.raises(UsageError, match="has no price"),
    ):
        list(answers.answer([BatchQuestion(asked_together, "What?")]))


def test_a_contender_may_name_its_judge(toy):
    (one,) = recipe_grid([f"best-of-n(n=2)@{recipe(toy).scorer}"], Recipe(model="smollm2"))
    assert one.judge == f"{toy.base}/v1#toy"
    assert Recipe.parse(one.spelling).judge == one.judge


def test_what_is_no_address_is_named():
    with pytest.raises(BadParameterError, match="not the address"):
        Judges()._judge("judge")


def test_a_written_verdict_may_cost_as_many_tokens_as_it_is_let(toy):
    toy.set(logprobs=False)
    one = job(BestOfN(n=2), scorer=RemoteJudge(f"{toy.base}/v1#toy", prompt=PROMPT))
    with Judges({"toy": Price(0.0, 10.0)}, patience=FAST) as judges:
        backend = judges.with_judges(KnownBackend(coin()), [one])
        asked = VerdictRequest("k", "run", ("judge a", "judge b"), ("Yes", "No"), by=one.scorer.by)
        (bound,) = backend.bounds([asked])
    assert bound.once.usd == pytest.approx(2 * 8 * 10 / 1e6)


class JudgeFirst(Strategy):
    def search(self, start, rng):
        answers = yield from write([start] * 2)
        yield from score(answers)
        yield from verdicts(["First of its own?"], ("Yes", "No"))
        yield from verdicts(["Second?"], ("Yes", "No"))
        yield from score((yield from write([start])))
        return Found(answers[0])


class Recorded(KnownBackend):
    def submit(self, request):
        self.__dict__.setdefault("requests", []).append(request)
        super().submit(request)


def test_what_a_judge_read_is_not_what_the_runs_own_model_has_read(toy):
    one = job(JudgeFirst(), scorer=RemoteJudge(f"{toy.base}/v1#toy", prompt=PROMPT))
    backend, there = Recorded(coin()), Recorded(coin())
    (done,) = Driver(JudgedBackend(backend, {one.scorer.by: there})).run([one])
    assert done.error is None
    own = [one for one in backend.requests if isinstance(one, VerdictRequest)]
    assert [one.behind for one in own] == [((),), (("First of its own?",),)]
    assert [one.behind for one in there.requests] == [(), ()]
    assert {one.by for one in there.requests} == {f"{toy.base}/v1#toy"}


def test_verdicts_of_two_judges_go_by_two_names():
    asks = [Verdict(("?",), ("Yes", "No"), by) for by in ("", "http://a/v1#m", "http://b/v1#m")]
    assert (
        len({verdict_request(job(BestOfN()), ask, VerdictPrefixes())[0].key for ask in asks}) == 3
    )

"""A server that judges what another back end writes: charged, held to the budget, never a 0."""

from __future__ import annotations

import itertools
from contextlib import contextmanager

import pytest

from forethought.contracts.backend import Judgement
from forethought.contracts.errors import BadParameterError, RemoteError, UsageError
from forethought.contracts.search import Found, Strategy, score, verdicts, write
from forethought.methods.scoring.remote_judge import RemoteJudge
from forethought.methods.search.best_of_n import BestOfN
from forethought.methods.search.majority_vote import MajorityVote
from forethought.models.known import Known
from forethought.runs.answers import Answers
from forethought.runs.asks import Ask
from forethought.runs.contenders import contenders
from forethought.runs.drive import Drive
from forethought.runs.judges import JUDGE_KEY, Judged, Judges
from forethought.runs.recipe import Recipe
from forethought.runs.remote_answers import Servers
from forethought.runs.remote_api import Patience
from forethought.runs.remote_judging import written_choice
from forethought.runs.remote_recipe import check_priced, prices_of
from forethought.runs.remote_session import RemoteSession
from forethought.runs.session import Session
from tests.runs.openai_server import PROMPT_TOKENS
from tests.runs.remote_asks import PRICES, request
from tests.runs.searches import Kept, coin, job
from tests.runs.tiny_session import DOCUMENT, QUESTION, TARGET

FAST = Patience(attempts=3, first_wait=0.0)
LIKES_B = {"bbb": {"Yes": 0.9, "No": 0.1}, "aaa": {"Yes": 0.3, " no": 0.6, "Maybe": 0.1}}
PROMPT = "judge {question} {answer}"


def scorer(toy, **settings):
    return RemoteJudge(f"{toy.base}/v1#toy", **{"prompt": PROMPT, **settings})


@contextmanager
def judged(backend, *jobs, prices=PRICES, journal=None, **settings):
    """What becomes of the jobs, their judges beside the back end."""
    with Judges(prices, patience=FAST, **settings) as judges:
        drive = Drive(judges.beside(backend, jobs), *([journal] if journal is not None else []))
        yield {done.job.run: done for done in drive.run(jobs)}


def found(toy, strategy=None, budget="", seed=0, journal=None, **settings):
    one = job(strategy or BestOfN(n=6), scorer=scorer(toy), budget=budget, seed=seed)
    with judged(Known(coin(0.7)), one, journal=journal, **settings) as done:
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


@pytest.mark.parametrize("logprobs", [True, False])
def test_a_reply_that_is_no_verdict_is_an_error_and_no_score(toy, logprobs):
    toy.set(opinions={"aaa": {"Perhaps": 1.0}, "bbb": {"Yes": 1.0}}, logprobs=logprobs)
    done = found(toy)
    assert done.found is None
    assert isinstance(done.error, RemoteError)
    assert ("none of Yes, No" if logprobs else "'Perhaps' where one of Yes, No") in str(done.error)
    assert done.cost.scoring_tokens == 6 * PROMPT_TOKENS


def test_a_judge_that_is_down_is_an_error_before_anything_is_written():
    backend, one = Known(coin()), job(BestOfN(), scorer=RemoteJudge("http://127.0.0.1:9/v1#toy"))
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9"), judged(backend, one):
        pass
    assert not backend.asked


def test_a_verdict_that_had_to_be_asked_for_again_is_charged_once(toy):
    plain = found(toy)
    with Judges(PRICES, patience=FAST) as judges:
        one = job(BestOfN(n=6), scorer=scorer(toy))
        backend = judges.beside(Known(coin(0.7)), [one])
        toy.set({"status": 500}, None, {"drop": 0}, {"status": 429})
        (done,) = Drive(backend).run([one])
    assert done.found == plain.found
    assert done.cost == plain.cost


def test_a_judge_that_fails_in_the_end_ends_the_search_with_its_error(toy):
    with Judges(PRICES, patience=FAST) as judges:
        one = job(BestOfN(n=2), scorer=scorer(toy))
        backend = judges.beside(Known(coin(0.7)), [one])
        toy.set(*[{"status": 503}] * 9)
        (done,) = Drive(backend).run([one])
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
        plain = Drive(Known(coin(0.7))).run([job(MajorityVote(n=6))])
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
    with pytest.raises(UsageError), judged(Known(coin()), one):
        pass


def test_searches_together_are_what_they_are_alone(toy):
    toy.set(opinions=LIKES_B)

    def one(seed):
        return job(BestOfN(n=4), run=f"run {seed}", scorer=scorer(toy), seed=seed)

    plain = job(MajorityVote(n=3), run="plain", seed=9)
    with judged(Known(coin(0.7)), *map(one, range(5)), plain) as together:
        assert len(together) == 6
        for seed in range(5):
            with judged(Known(coin(0.7)), one(seed)) as alone:
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
    with judged(Known(coin(), opinion=lambda text, choices: (0.25, 0.75)), one) as done:
        assert done["run"].found.weights == (0.25, pytest.approx(0.9))


def test_bounds_are_told_by_who_will_be_asked(toy):
    one = job(BestOfN(), scorer=scorer(toy))
    own, other = (
        Judgement("a", "run", ("?",), ("Yes", "No")),
        Judgement("b", "run", ("judge",), ("Yes", "No"), by=one.scorer.by),
    )
    with Judges(PRICES, patience=FAST) as judges:
        backend = judges.beside(Known(coin(), verdict_flops=7.0), [one])
        first, second = backend.bounds([other, own])
        assert (first.once.flops, second.once.flops) == (0.0, 7.0)
        assert first.once.usd > 0
        assert second.once.usd is None


def test_without_a_judge_the_back_end_stands_alone():
    backend = Known(coin())
    assert Judges().beside(backend, [job(MajorityVote()), job(BestOfN())]) is backend


class Still:
    """A judge that thinks for ever."""

    def submit(self, request):
        pass

    def poll(self, until=None):
        return []

    def now(self):
        return 0.0


def test_what_is_written_is_heard_of_while_a_judge_thinks():
    backend = Known(coin(), delay=lambda key: 10.0)
    both = Judged(backend, {"j": Still()})
    both.submit(Judgement("k", "run", ("?",), ("Yes",), by="j"))
    both.submit(request("piece"))
    assert [one.key for one in both.poll()] == ["piece"]
    assert both.poll(until=both.now()) == []


def keys(toy):
    return set(toy.told()["keys"])


def test_a_judge_is_shown_its_own_key(toy, monkeypatch):
    monkeypatch.setenv(JUDGE_KEY, "for-the-judge")
    monkeypatch.setenv("OPENAI_API_KEY", "for-the-writer")
    found(toy)
    assert keys(toy) == {"Bearer for-the-judge"}


@pytest.mark.parametrize(
    ("own", "shown"),
    [("", "Bearer general"), ("http://elsewhere/v1", None), ("same", "Bearer general")],
)
def test_the_key_of_the_server_that_writes_is_shown_to_no_other(toy, monkeypatch, own, shown):
    monkeypatch.delenv(JUDGE_KEY, raising=False)
    monkeypatch.setenv("FORETHOUGHT_API_KEY", "general")
    found(toy, own=f"{toy.base}/v1" if own == "same" else own)
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
            (one,) = answers.answer([Ask(recipe(toy), question)])
            assert [two["score"] for two in one.run.candidates] == pytest.approx([0.8, 0.8])
        assert len(asked(toy)) == 4
        probes = len(toy.told()["asked"]) - 4
        list(answers.answer([Ask(recipe(toy, seed=1), "Third?")]))
        assert len(toy.told()["asked"]) == probes + 6


def test_money_is_a_budget_where_a_judge_is_paid_and_prices_go_with_it(toy):
    priced = recipe(toy, budget="$1")
    assert priced.judge == f"{toy.base}/v1#toy"
    check_priced([priced], prices_of(["1/2"]))
    with pytest.raises(UsageError, match="has no price"):
        check_priced([recipe(toy, scorer="self-judge")], prices_of(["1/2"]))
    with pytest.raises(UsageError, match="has no price"):
        Session.open(recipe(toy, scorer="self-judge", budget="$1"))
    asked_together = recipe(toy, scorer="self-judge", budget="$1")
    with (
        Answers(lambda name, weights: TARGET) as answers,
        pytest.raises(UsageError, match="has no price"),
    ):
        list(answers.answer([Ask(asked_together, "What?")]))


def test_a_contender_may_name_its_judge(toy):
    (one,) = contenders([f"best-of-n(n=2)@{recipe(toy).scorer}"], Recipe(model="smollm2"))
    assert one.judge == f"{toy.base}/v1#toy"
    assert Recipe.parse(one.spelling).judge == one.judge


def test_what_is_no_address_is_named():
    with pytest.raises(BadParameterError, match="no address"):
        Judges()._judge("judge")

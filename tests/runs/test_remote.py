"""Searches on a server of the OpenAI kind: the same as on the law it writes by, whatever breaks."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from forethought.contracts.errors import RemoteError, UsageError
from forethought.contracts.questions import Question
from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, Found, Judgement, Request, Strategy, write
from forethought.methods.search.majority_vote import MajorityVote
from forethought.models.known import Known, sequences
from forethought.runs.drive import Drive
from forethought.runs.limit import spend_limit
from forethought.runs.remote_api import Patience
from forethought.runs.remote_wire import Manner, Price, request_seed
from tests.runs.openai_server import LAWS, NUMBERS, PROMPT_TOKENS
from tests.runs.searches import QUESTION, job, searched, three_steps

PRICES = {"toy": Price(prompt=1.0, output=10.0)}


class Derived(Known):
    """The law, drawn with the seeds that a server is given."""

    def _written(self, request):
        return super()._written(replace(request, seed=request_seed(request), stream=0))


class Steps(Strategy):
    """Two answers, step by step; of each step the first child."""

    needs = frozenset({"steps"})

    def search(self, start, rng):
        answers = yield from write([start] * 2, until="step", delimiter="\n")
        while not all(one.done for one in answers):
            answers = yield from write(answers, until="step", delimiter="\n")
        return Found(answers[0], tuple(answers))


def told(done):
    """All of the candidates, their chances beside them."""
    found = done.found.considered
    return [replace(one, log_probability=0.0) for one in found], [
        one.log_probability for one in found
    ]


def known(strategy, **settings):
    """What the law gives; chances that are sums may round otherwise."""
    found, chances = told(searched(strategy, backend=Derived(three_steps), **settings))
    return found, pytest.approx(chances)


def request(key="k", *, parent=None, path=(0,), **changes):
    base = Request(key, "run", QUESTION, parent or Candidate(), path, 0, 0, "end", "\n", None, 30)
    return replace(base, **changes)


def outcome_of(remote, asked):
    remote.submit(asked)
    (outcome,) = remote.poll()
    return outcome


@pytest.fixture(scope="module")
def able(_toy):
    """What the server does at its defaults, found out once."""
    _toy.set()
    with _toy.remote("toy") as remote:
        assert remote.able.continues
        return remote.able


@pytest.fixture
def remote(able, toy):
    """A back end that knows what its server does."""
    with toy.remote("toy", prices=PRICES, found=able) as found:
        yield found


@pytest.mark.parametrize("seed", [0, 7])
def test_a_search_finds_exactly_what_it_finds_on_the_law(remote, seed):
    done = searched(MajorityVote(n=9), backend=remote, seed=seed)

    assert told(done) == known(MajorityVote(n=9), seed=seed)
    assert len({one.text for one in done.found.considered}) > 3
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered)
    assert done.cost.prompt_tokens == 9 * PROMPT_TOKENS
    assert done.cost.usd == pytest.approx((9 * PROMPT_TOKENS + 10 * done.cost.output_tokens) / 1e6)


def test_seeds_change_what_is_drawn_with_seed_stream_and_place():
    base = request()
    later = request(parent=Candidate(tokens=3))
    seeds = {request_seed(one) for one in (base, later, request(stream=1), request(seed=1))}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("stops", ["kept", "told", "heard"])
@pytest.mark.parametrize("chat", [True, False])
def test_steps_are_those_of_the_law_however_the_server_tells_of_their_ends(toy, stops, chat):
    toy.set(stops=stops, chat=chat)
    with toy.remote("toy") as remote:
        assert (remote.able.stops, remote.able.chat) == (stops, chat)
        done = searched(Steps(), backend=remote)

    assert told(done) == known(Steps())
    assert all(step.endswith("\n") for one in done.found.considered for step in one.steps[:-1])


def test_a_server_that_trims_beginnings_gives_steps_without_doubled_spaces(toy):
    toy.set(trims=True)
    with toy.remote("toy") as remote:
        assert remote.able.trims
        parent = Candidate(path=(0,), question="judge nothing", steps=("a\n",), tokens=2)
        found = outcome_of(remote, request(parent=replace(parent, question="q"), until="step"))

    # The server writes the line's end again, which the beginning had already.
    assert found.piece.text in ("a\n", "b\n", "c\n")
    assert found.piece.finish == "step"


def test_a_short_lease_is_gone_on_from(remote):
    enough = searched(MajorityVote(n=4), backend=remote).cost.output_tokens
    # Answers of 6 tokens, and room for the end that each must still show.
    done = searched(MajorityVote(n=4), backend=remote, budget=f"{enough + 4}tok", max_tokens=30)
    assert [one.finish for one in done.found.considered] == ["stop"] * 4
    assert done.cost.output_tokens == enough
    assert set(one.text for one in done.found.considered) <= set(sequences(three_steps))


def test_where_beginnings_are_not_gone_on_from_a_short_lease_is_the_budgets_end(toy):
    toy.set(continues=False)
    with toy.remote("toy") as remote:
        done = searched(MajorityVote(n=4), backend=remote, budget="20tok")
        with pytest.raises(UsageError, match="steps"):
            searched(Steps(), backend=remote)
        lost = outcome_of(
            remote, request(parent=Candidate((0,), steps=("a",), tokens=1), path=(0, 0))
        )

    assert {one.finish for one in done.found.considered} == {"budget"}
    assert [one.tokens for one in done.found.considered] == [5] * 4
    assert "does not go on" in str(lost.error)


@pytest.mark.parametrize("budget", ["13tok", "$0.0004", "40tok,$0.0005"])
def test_no_budget_is_overshot(remote, budget):
    done = searched(MajorityVote(n=8), backend=remote, budget=budget)
    limit = spend_limit(budget)
    assert done.cost.output_tokens <= (limit.tokens or 10**9)
    assert done.cost.usd <= (limit.usd or 1.0)
    assert done.budget_spent


def test_a_budget_that_cannot_be_held_is_refused_before_anything_is_spent(toy):
    with toy.remote() as remote:
        with pytest.raises(UsageError, match="price of toy is not known"):
            remote.check_limit(spend_limit("$1"))
        with pytest.raises(UsageError, match="FLOPs"):
            remote.check_limit(spend_limit("1TFLOP"))
        remote.check_limit(spend_limit("500tok,2s"))
        assert toy.told()["asked"] == []
        done = searched(MajorityVote(n=1), backend=remote)
    assert done.cost.usd is None
    with toy.remote("toy", prices=PRICES) as remote:
        remote.check_limit(spend_limit("$1"))


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "3"}},
        {"status": 500},
        {"status": 503},
        {"drop": "before"},
        {"drop": "after"},
        {"drop": 0},
        {"error": 0},
    ],
)
def test_what_goes_wrong_once_changes_nothing_and_is_charged_once(toy, remote, fault):
    toy.set(fault, None, fault)
    done = searched(MajorityVote(n=5), backend=remote)

    assert told(done) == known(MajorityVote(n=5))
    counted = (done.cost.output_tokens, remote.lost.output_tokens)
    assert counted == (sum(one.tokens for one in done.found.considered), 0)
    assert len(toy.told()["asked"]) == (5 if fault == {"drop": "after"} else 7)


@pytest.mark.parametrize(
    "broken", [{"drop": 4}, {"drop": 4, "clean": True}, {"error": 4}, {"abort": 4}]
)
def test_a_broken_answer_is_gone_on_from_and_no_token_is_paid_twice(toy, remote, broken):
    toy.set(broken)
    found = outcome_of(remote, request())

    assert found.piece.text in sequences(three_steps)
    assert found.piece.finish == "stop"
    assert found.cost.output_tokens == found.piece.tokens == 6
    assert found.cost.prompt_tokens == PROMPT_TOKENS
    assert toy.told()["written"] == 6
    first, second = toy.told()["asked"]
    assert second["messages"][-1] == {"role": "assistant", "content": found.piece.text[:4]}
    assert second["max_tokens"] == first["max_tokens"] - 4
    assert first["seed"] != second["seed"]
    assert remote.lost.prompt_tokens == PROMPT_TOKENS


@pytest.mark.parametrize("lacking", [{"continues": False}, {"logprobs": False}])
def test_a_broken_answer_that_cannot_be_gone_on_from_is_asked_for_anew(toy, lacking):
    toy.set(**lacking)
    with toy.remote("toy") as remote:
        assert remote.able.usage
        toy.set({"drop": 4}, {"drop": 3}, **lacking)
        found = outcome_of(remote, request())
        lost = remote.lost.output_tokens

    expected = outcome_of(Derived(three_steps), request())
    assert (found.piece.text, found.piece.tokens) == (expected.piece.text, 6)
    assert found.cost.output_tokens == 6
    if lacking == {"continues": False}:
        assert lost == 7


def test_a_step_whose_end_came_in_two_halves_is_seen(toy):
    toy.set(law="three_steps")
    with toy.remote("toy") as remote:
        assert remote.able.stops == "kept"
        toy.set({"drop": 1})
        found = outcome_of(remote, request(until="step", delimiter=f"{first_letter()}\n"))
    assert found.piece.finish == "step"
    assert found.piece.text == f"{first_letter()}\n"
    assert found.cost.output_tokens == 2  # and not written beyond


def first_letter():
    return outcome_of(Derived(three_steps), request()).piece.text[0]


def test_what_never_goes_well_is_an_error_that_costs_what_was_written(toy, remote):
    toy.set({"drop": 2}, *[{"status": 502}] * 5)
    found = outcome_of(remote, request())

    assert isinstance(found.error, RemoteError)
    assert "6 attempts" in str(found.error)
    assert found.cost.output_tokens == 2
    toy.set(*[{"drop": "before"}] * 6)
    assert outcome_of(remote, request()).cost == Cost(usd=0.0)
    assert len(toy.told()["asked"]) == 6

    toy.set({"drop": 3}, {"drop": 2}, *[{"status": 502}] * 4, continues=False)
    with toy.remote("toy", found=replace(remote.able, continues=False)) as other:
        assert outcome_of(other, request()).cost.output_tokens == 3


def test_counts_that_the_server_does_not_tell_are_made_from_what_came(toy):
    toy.set(usage=False)
    with toy.remote("toy", prices=PRICES) as remote:
        done = searched(MajorityVote(n=3), backend=remote)
        assert told(done) == known(MajorityVote(n=3))
        assert done.cost.output_tokens == 18
        assert done.cost.prompt_tokens >= 3 * PROMPT_TOKENS

    toy.set(usage=False, logprobs=False, law="wide")
    with toy.remote("toy") as remote:
        assert "log-probabilities" not in remote.abilities
        whole = outcome_of(remote, request(key="whole"))
        part = outcome_of(remote, request(key="part", most=2))
    # As many as there are bytes, and one for the end: never fewer than there were.
    assert whole.cost.output_tokens == len(whole.piece.text.encode()) + 1 <= 10
    assert part.piece.tokens == part.cost.output_tokens == 2
    assert part.piece.finish == "length"


def test_a_server_that_does_not_stream_is_understood(toy):
    toy.set(sse=False)
    with toy.remote("toy") as remote:
        assert told(searched(MajorityVote(n=3), backend=remote)) == known(MajorityVote(n=3))


def test_cached_prompt_tokens_are_told_and_have_their_price(toy):
    toy.set(cached=5)
    with toy.remote("toy", prices={"toy": Price(10.0, 0.0, cached=1.0)}) as remote:
        found = outcome_of(remote, request())
    assert (found.cost.prompt_tokens, found.cost.cached_tokens) == (PROMPT_TOKENS - 5, 5)
    assert found.cost.usd == pytest.approx((2 * 10 + 5 * 1) / 1e6)


def test_cancelling_closes_the_connection_and_keeps_what_came(toy):
    toy.set(law="long")
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set(law="long", delay=0.02)
        remote.submit(request(key="slow", most=400))
        while toy.told()["written"] < 4:
            assert remote.poll(remote.now() + 0.1) == []
        remote.cancel("slow")
        (found,) = remote.poll()
        assert found.piece.finish == "cancelled"
        assert found.piece.text == "x" * found.piece.tokens
        assert 0 < found.piece.tokens == found.cost.output_tokens < 300
        assert closed(toy)
        remote.submit(request(key="never", most=400))
        remote.cancel("never")
        (found,) = remote.poll()
        assert (found.key, found.piece.text) == ("never", "")


def test_time_ends_a_search_with_what_there_is(toy):
    toy.set(law="long", delay=0.02)
    with toy.remote("toy") as remote:
        assert remote.abilities
        start = time.monotonic()
        done = searched(MajorityVote(n=3), backend=remote, budget="1s", max_tokens=400)
        assert time.monotonic() - start < 6  # all tokens would take 8
    assert {one.finish for one in done.found.considered} == {"budget"}
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered) > 0


def test_slow_tokens_are_waited_for_and_silence_is_not(toy):
    toy.set(law="coin", delay=0.2)
    with toy.remote("toy", patience=Patience(silence_seconds=1.0)) as remote:
        assert remote.abilities
        assert outcome_of(remote, request()).piece.finish == "stop"
        able = remote.able
    toy.set(law="coin", delay=0.8)
    patience = Patience(silence_seconds=0.5, attempts=2)
    with toy.remote("toy", patience=patience, found=able) as remote:
        whole = outcome_of(remote, request(key="whole", most=1))
        broken = outcome_of(remote, request(key="broken", most=9))
    # Its one token came before the silence: nothing was missing but the end.
    assert (whole.piece.tokens, whole.piece.finish) == (1, "length")
    assert "silent for too long (ReadTimeout) (2 attempts)" in str(broken.error)
    assert broken.cost.output_tokens == 2


def test_verdicts_that_are_cancelled_come_nonetheless(toy, remote):
    remote.submit(Judgement("j", "run", ("judge a",), ("yes", "no")))
    remote.cancel("j")
    (found,) = remote.poll()
    assert sum(found.chances[0]) == pytest.approx(1)


def test_a_released_run_is_ended_and_never_told_of(toy):
    toy.set(law="long")
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set(law="long", delay=0.02)
        remote.submit(request(key="old", most=400))
        while toy.told()["written"] < 4:
            assert remote.poll(remote.now() + 0.1) == []
        remote.release("run")
        remote.submit(request(key="old", run="other", most=3))
        (found,) = remote.poll()
        assert (found.key, found.piece.text) == ("old", "xxx")
        assert closed(toy)


def closed(toy):
    deadline = time.monotonic() + 4  # all of it would take 8
    while time.monotonic() < deadline:
        if toy.told()["open"] == 0:
            return True
        time.sleep(0.02)
    return False


def test_verdicts_are_the_chances_of_the_choices_among_themselves(toy, remote):
    asked = Judgement("j", "run", ("judge a", "judge b"), ("Yes", "no"))
    found = outcome_of(remote, asked)
    assert found.chances == (pytest.approx((0.75, 0.25)),) * 2
    assert found.cost.scoring_tokens == 2 * PROMPT_TOKENS
    assert found.cost.usd == pytest.approx(2 * (PROMPT_TOKENS + 10) / 1e6)
    (bound,) = remote.bounds([asked])
    assert bound.once.usd >= found.cost.usd

    toy.set({"status": 500}, None, {"drop": 0})
    assert outcome_of(remote, asked).chances == found.chances

    lost = outcome_of(remote, replace(asked, choices=("left", "right")))
    assert "none of left, right" in str(lost.error)
    assert lost.cost.scoring_tokens == 2 * PROMPT_TOKENS


def test_documents_systems_and_settings_are_sent(toy):
    manner = Manner(temperature=0.3, top_p=0.9, top_k=5, stop=("END",), system="Be brief.")
    with toy.remote("toy", manner=manner) as remote:
        assert remote.abilities
        toy.set()
        question = Question("q", "What?", document="A tale.")
        outcome_of(remote, request(question=question))
        (body,) = toy.told()["asked"]
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "A tale.\n\nWhat?"},
    ]
    settings = {name: body.get(name) for name in ("temperature", "top_p", "top_k", "stop", "min_p")}
    assert settings == {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
        "min_p": None,
    }


def test_texts_that_end_an_answer_are_no_part_of_it(toy):
    first = first_letter()
    with toy.remote("toy", manner=Manner(stop=("\n",))) as remote:
        assert outcome_of(remote, request(temperature=1.0)).piece.text == first
        # In a step, the server is asked to keep the text it stops at: ours goes nonetheless.
        step = outcome_of(remote, request(temperature=1.0, until="step", delimiter="zz"))
        assert (step.piece.text, step.piece.finish) == (first, "stop")


def test_raw_prompts_are_laid_out_as_told(toy):
    with toy.remote("toy", raw=lambda question: f"<{question}>") as remote:
        assert not remote.able.chat
        toy.set()
        outcome_of(remote, request(parent=Candidate((0,), steps=("a\n",), tokens=2)))
        (body,) = toy.told()["asked"]
    assert body["prompt"] == "<What?>a\n"


def test_prompts_are_bounded_by_bytes_until_they_are_counted(remote):
    fresh = request(question=Question("q", "Où? " * 10))
    (bound,) = remote.bounds([fresh])
    assert bound.once.prompt_tokens >= 50
    outcome_of(remote, fresh)
    (again,) = remote.bounds([fresh])
    assert again.once.prompt_tokens == PROMPT_TOKENS
    assert again.token.usd == pytest.approx(10 / 1e6)
    remote.release("run")
    assert remote.bounds([fresh]) == [bound]


def test_searches_together_are_what_they_are_alone(toy, remote):
    jobs = [job(MajorityVote(n=3), run=f"run {seed}", seed=seed) for seed in range(6)]
    found = {done.job.seed: told(done) for done in Drive(remote).run(jobs)}
    for seed in range(6):
        assert found[seed] == known(MajorityVote(n=3), seed=seed)


def test_the_toy_counts_as_the_probe_expects():
    assert NUMBERS.startswith("one\n\ntwo\n\nthree")
    assert set(LAWS) == {"three_steps", "coin", "long", "wide"}
